import type { ContainerState } from '../runtime.ts'
import { definitionHash, hashAnnotation } from './container-record.ts'
import { isAlive, latestRun, type ObservedPod } from './observed-pod.ts'
import { type ContainerLife, type PodLife, restartsAfter } from './pod-life.ts'

/** What the kubelet remembers or measures, beyond the spec and the runtime. */
export interface PodFacts {
  /** Health of a running container. */
  readonly health: (container: ContainerState) => ContainerHealth
  /** Containers that were stopped in order to be started again, whatever their restart policy. */
  readonly restartWanted: ReadonlySet<string>
  /** What a running container has to be given: other limits in place, or a restart with them. */
  readonly resize: (life: ContainerLife, container: ContainerState) => 'in place' | 'restart' | undefined
}

export interface ContainerHealth {
  /** The startup probe passed, or there is none, and postStart has ended. */
  readonly isStarted: boolean
  readonly isReady: boolean
  /** The probe that has given up on it. */
  readonly failed: 'liveness' | 'startup' | undefined
}

export type PodAction =
  | { readonly kind: 'create-sandbox'; readonly attempt: number; readonly replaces: readonly string[] }
  | {
      readonly kind: 'kill'
      readonly container: ContainerState
      readonly life: ContainerLife
      readonly message: string
      readonly because: 'changed' | 'resized' | 'liveness' | 'startup'
    }
  | { readonly kind: 'resize'; readonly container: ContainerState; readonly life: ContainerLife }
  | {
      readonly kind: 'start'
      readonly life: ContainerLife
      readonly attempt: number
      /** The run before, whose end the restart delay counts from. */
      readonly after: ContainerState | undefined
    }
  /** A container that was made but never started is in the way of its successor. */
  | { readonly kind: 'remove'; readonly container: ContainerState }

export interface PodPlan {
  readonly actions: readonly PodAction[]
  /** All that had to run has run: stop what is left, the pod is over. */
  readonly isOver: boolean
  /** Main containers that wait for those of a higher launch priority, with the names they wait for. */
  readonly heldBack: ReadonlyMap<string, readonly string[]>
}

/** Decides the next steps of a pod that is to run. The same arguments always give the same plan. */
export function planPod(life: PodLife, observed: ObservedPod, facts: PodFacts): PodPlan {
  if (isOver(life, observed, facts)) return { actions: [], isOver: true, heldBack: new Map() }
  if (observed.sandbox === undefined) return planSandbox(observed)

  const draft: Draft = { actions: [], heldBack: new Map() }
  const isInitialized = life.startGroups.some((group) =>
    group.some((each) => observed.current.has(each.name)),
  )
  const initDone = planInit(life, observed, facts, draft, isInitialized)
  if (isInitialized || initDone) planMain(life, observed, facts, draft)
  if (isInitialized) planEphemeral(life, observed, draft)
  return { ...draft, isOver: false }
}

interface Draft {
  readonly actions: PodAction[]
  readonly heldBack: Map<string, readonly string[]>
}

function planSandbox(observed: ObservedPod): PodPlan {
  const newest = observed.sandboxes[0]
  const action: PodAction = {
    kind: 'create-sandbox',
    attempt: newest === undefined ? 0 : newest.attempt + 1,
    replaces: observed.sandboxes.map((sandbox) => sandbox.id),
  }
  return { actions: [action], isOver: false, heldBack: new Map() }
}

/**
 * Over: an init container failed for good, or every main container that does not end with the app has
 * ended and will not be started again. Where all end with the app, all must have ended.
 */
function isOver(life: PodLife, observed: ObservedPod, facts: PodFacts): boolean {
  const isDone = (each: ContainerLife): boolean => {
    const run = latestRun(observed, each.name)
    return (
      run?.state === 'exited' && !facts.restartWanted.has(each.name) && !restartsAfter(each, run.exitCode)
    )
  }
  const hasFailed = (each: ContainerLife) =>
    each.kind === 'init' && isDone(each) && latestRun(observed, each.name)?.exitCode !== 0
  if (life.initOrder.some(hasFailed)) return true
  const mains = life.startGroups.flat()
  const apps = mains.filter((each) => !each.endsWithApp)
  return (apps.length > 0 ? apps : mains).every(isDone)
}

/** Answers whether the main containers may start. */
function planInit(
  life: PodLife,
  observed: ObservedPod,
  facts: PodFacts,
  draft: Draft,
  isInitialized: boolean,
): boolean {
  for (const each of life.initOrder) {
    if (each.kind === 'init') {
      if (isInitialized) continue
      const run = observed.current.has(each.name) ? latestRun(observed, each.name) : undefined
      if (run?.state === 'exited' && run.exitCode === 0) continue
      if (run === undefined || !isAlive(run)) planStart(each, observed, draft)
      return false
    }
    const passed = planRunning(each, observed, facts, draft)
    if (!passed && !isInitialized) return false
  }
  return true
}

function planMain(life: PodLife, observed: ObservedPod, facts: PodFacts, draft: Draft): void {
  let waitsFor: string[] = []
  for (const group of life.startGroups) {
    const notPassed: string[] = []
    for (const each of group) {
      // Order is for the first start only: whoever has run before restarts at once.
      if (waitsFor.length > 0 && !observed.current.has(each.name)) {
        draft.heldBack.set(each.name, waitsFor)
        notPassed.push(each.name)
      } else if (!planRunning(each, observed, facts, draft)) {
        notPassed.push(each.name)
      }
    }
    waitsFor = [...waitsFor, ...notPassed]
  }
}

function planEphemeral(life: PodLife, observed: ObservedPod, draft: Draft): void {
  for (const each of life.containers.values()) {
    if (each.kind === 'ephemeral' && latestRun(observed, each.name) === undefined) {
      planStart(each, observed, draft)
    }
  }
}

/** Keeps one long-lived container going. Answers whether it has passed its gate. */
function planRunning(each: ContainerLife, observed: ObservedPod, facts: PodFacts, draft: Draft): boolean {
  const run = latestRun(observed, each.name)
  if (run === undefined || !observed.current.has(each.name) || run.state === 'created') {
    if (run !== undefined && !observed.current.has(each.name) && !mayRunAgain(each, run, facts)) return true
    planStart(each, observed, draft)
    return false
  }
  if (run.state === 'exited') {
    if (mayRunAgain(each, run, facts)) {
      planStart(each, observed, draft)
      return false
    }
    // One that has completed well is passed; one that failed for good holds up nobody but is not ready.
    return true
  }
  const health = facts.health(run)
  const resize = facts.resize(each, run)
  const because = changed(each, run)
    ? 'changed'
    : (health.failed ?? (resize === 'restart' ? 'resized' : undefined))
  if (because !== undefined) {
    draft.actions.push({
      kind: 'kill',
      container: run,
      life: each,
      message: killMessage(each, because),
      because,
    })
    return false
  }
  if (resize === 'in place') draft.actions.push({ kind: 'resize', container: run, life: each })
  return each.gate === 'ready' ? health.isReady : health.isStarted
}

function killMessage(each: ContainerLife, because: 'changed' | 'resized' | 'liveness' | 'startup'): string {
  if (because === 'changed') return `Container ${each.name} definition changed, will be restarted`
  if (because === 'resized') return `Container ${each.name} resize requires restart`
  return `Container ${each.name} failed ${because} probe, will be restarted`
}

function mayRunAgain(each: ContainerLife, run: ContainerState, facts: PodFacts): boolean {
  return run.state !== 'exited' || facts.restartWanted.has(each.name) || restartsAfter(each, run.exitCode)
}

function changed(each: ContainerLife, run: ContainerState): boolean {
  const recorded = run.annotations[hashAnnotation]
  return recorded !== undefined && recorded !== definitionHash(each.spec)
}

function planStart(each: ContainerLife, observed: ObservedPod, draft: Draft): void {
  const latest = latestRun(observed, each.name)
  if (latest?.state === 'created') {
    draft.actions.push({ kind: 'remove', container: latest })
    const before = observed.runs.get(each.name)?.[1]
    draft.actions.push({ kind: 'start', life: each, attempt: latest.attempt, after: before })
    return
  }
  const attempt = latest === undefined ? 0 : latest.attempt + 1
  draft.actions.push({ kind: 'start', life: each, attempt, after: latest })
}
