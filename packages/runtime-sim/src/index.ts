// A runtime that plays pod life
export { type BehaviorRule, behaviorAnnotationPrefix, type ContainerBehavior } from './behavior.ts'
export { createSimRuntime, type SimRuntime, type SimRuntimeOptions } from './sim-runtime.ts'
