export type { PodRuntime } from './runtime.ts'
