import type { Container, Pod } from '@outrigger/kube'

/**
 * The one start/stop model of a pod. Native sidecars, ECI's variables, ACS' `__IS_SIDECAR__` and Kruise's
 * launch priorities are four ways to write it; everything behind this file knows only the model.
 */
export interface PodLife {
  /** Every container of the spec by name; init first, then main, then ephemeral. */
  readonly containers: ReadonlyMap<string, ContainerLife>
  /** Ordinary init containers and native sidecars, in the order of the spec. */
  readonly initOrder: readonly ContainerLife[]
  /** Main containers: a group starts once every container of the groups before it has passed its gate. */
  readonly startGroups: readonly (readonly ContainerLife[])[]
  /** A group is told to stop once every container of the groups before it has ended. */
  readonly exitGroups: readonly ExitGroup[]
  /** Sentences about settings that were not understood and are ignored. */
  readonly complaints: readonly string[]
}

export interface ContainerLife {
  readonly name: string
  readonly kind: 'init' | 'sidecar' | 'main' | 'ephemeral'
  readonly spec: Container
  readonly restart: 'Always' | 'OnFailure' | 'Never'
  /** What those who come after wait for. */
  readonly gate: 'started' | 'ready' | 'completed'
  /** Stopped, and not started again, once all containers without this mark are done. */
  readonly endsWithApp: boolean
  /** A non-zero end that is final is reported as success. */
  readonly forcesSuccess: boolean
}

export interface ExitGroup {
  readonly names: readonly string[]
  /** `own`: the group gets the pod's whole grace period. `shared`: what is left of it. */
  readonly grace: 'own' | 'shared'
}

export interface PodLifeOptions {
  /** Whether ECI's, ACS' and Kruise's variables are heard: they are a virtual node's dialects. */
  readonly isVirtual: boolean
}

/** Set to `true` on a pod, all exit groups share one grace period, so that shutdown is bounded. */
export const sharedGraceAnnotation = 'outrigger.dev/shared-exit-grace'

const fieldPaths = {
  init: 'initContainers',
  sidecar: 'initContainers',
  main: 'containers',
  ephemeral: 'ephemeralContainers',
} as const

/** `spec.containers{name}`, as events name a container. */
export function fieldPathOf(life: ContainerLife): string {
  return `spec.${fieldPaths[life.kind]}{${life.name}}`
}

/** Translates a pod into the model. The same pod always gives the same answer. */
export function podLife(pod: Pod, options: PodLifeOptions): PodLife {
  const complaints: string[] = []
  const policy = pod.spec.restartPolicy ?? 'Always'
  const initOrder = (pod.spec.initContainers ?? []).map((spec) => initLife(spec, policy))
  const dialects = pod.spec.containers.map((spec) =>
    options.isVirtual ? readDialect(spec, complaints) : plainDialect,
  )
  const listed = options.isVirtual && isOrdered(pod)
  const mains = pod.spec.containers.map((spec, index) =>
    mainLife(spec, policy, dialects[index]!, listed || dialects.some((each) => each.kruise !== undefined)),
  )
  const ephemerals = (pod.spec.ephemeralContainers ?? []).map((spec) => ephemeralLife(spec as Container))
  const containers = new Map<string, ContainerLife>()
  for (const life of [...initOrder, ...mains, ...ephemerals]) containers.set(life.name, life)
  return {
    containers,
    initOrder,
    startGroups: startGroups(mains, dialects, listed),
    exitGroups: [
      ...mainExitGroups(pod, mains, dialects),
      ...initOrder
        .filter((life) => life.kind === 'sidecar')
        .reverse()
        .map((life): ExitGroup => ({ names: [life.name], grace: 'shared' })),
      ...(ephemerals.length > 0
        ? [{ names: ephemerals.map((life) => life.name), grace: 'shared' as const }]
        : []),
    ],
    complaints,
  }
}

/** Whether a container that ended with `exitCode` is started again while its pod lives. */
export function restartsAfter(life: ContainerLife, exitCode: number): boolean {
  for (const rule of life.spec.restartPolicyRules ?? []) {
    const values = rule.exitCodes?.values ?? []
    const matches =
      rule.exitCodes?.operator === 'NotIn' ? !values.includes(exitCode) : values.includes(exitCode)
    if (matches) return rule.action === 'Restart'
  }
  return life.restart === 'Always' || (life.restart === 'OnFailure' && exitCode !== 0)
}

type Policy = ContainerLife['restart']

function initLife(spec: Container, policy: Policy): ContainerLife {
  const isSidecar = spec.restartPolicy === 'Always'
  return {
    name: spec.name,
    kind: isSidecar ? 'sidecar' : 'init',
    spec,
    restart: isSidecar ? 'Always' : (ownPolicy(spec) ?? (policy === 'Always' ? 'OnFailure' : policy)),
    gate: isSidecar ? 'started' : 'completed',
    endsWithApp: isSidecar,
    forcesSuccess: false,
  }
}

function ephemeralLife(spec: Container): ContainerLife {
  return {
    name: spec.name,
    kind: 'ephemeral',
    spec,
    restart: 'Never',
    gate: 'started',
    endsWithApp: true,
    forcesSuccess: false,
  }
}

function mainLife(spec: Container, policy: Policy, dialect: Dialect, waitsForReady: boolean): ContainerLife {
  const hasReadiness = spec.readinessProbe !== undefined
  const isAcs = dialect.acsSidecar
  return {
    name: spec.name,
    kind: 'main',
    spec,
    restart: isAcs ? 'Always' : (ownPolicy(spec) ?? policy),
    gate: waitsForReady || (hasReadiness && !isAcs) ? 'ready' : 'started',
    endsWithApp: isAcs || dialect.endsWithApp,
    forcesSuccess: isAcs || dialect.ignoresExitCode,
  }
}

function ownPolicy(spec: Container): Policy | undefined {
  const own = spec.restartPolicy
  return own === 'Always' || own === 'OnFailure' || own === 'Never' ? own : undefined
}

/** What one container says in its variables. */
interface Dialect {
  readonly launch: number | undefined
  readonly exit: number | undefined
  readonly kruise: number | undefined
  readonly acsSidecar: boolean
  readonly endsWithApp: boolean
  readonly ignoresExitCode: boolean
}

const plainDialect: Dialect = {
  launch: undefined,
  exit: undefined,
  kruise: undefined,
  acsSidecar: false,
  endsWithApp: false,
  ignoresExitCode: false,
}

function readDialect(spec: Container, complaints: string[]): Dialect {
  const read = (name: string): string | undefined => {
    const found = (spec.env ?? []).filter((entry) => entry.name === name && entry.valueFrom === undefined)
    return found.at(-1)?.value
  }
  const number = (name: string, limit: number): number | undefined => {
    const text = read(name)
    if (text === undefined) return undefined
    const value = /^[+-]?\d+$/.test(text) ? Number(text) : Number.NaN
    if (Math.abs(value) <= limit) return value
    complaints.push(
      `container ${spec.name}: ${name}="${text}" is not a whole number from -${limit} to ${limit}, 0 is used`,
    )
    return 0
  }
  const isOldSidecar = isTrue(read('ECI_SIDECAR_CONTAINER'))
  const type = read('ECI_CONTAINER_TYPE')
  return {
    launch: number('ECI_CONTAINER_LAUNCH_PRIORITY', 1000),
    exit: number('ECI_CONTAINER_EXIT_PRIORITY', 1000) ?? (isOldSidecar ? -1000 : undefined),
    kruise: number('KRUISE_CONTAINER_PRIORITY', 2_147_483_647),
    acsSidecar: isTrue(read('__IS_SIDECAR__')),
    endsWithApp: type === undefined ? isOldSidecar : type === 'sidecar',
    ignoresExitCode: isTrue(read('ECI_CONTAINER_IGNORE_EXIT_CODE')),
  }
}

const isTrue = (text: string | undefined): boolean => text?.toLowerCase() === 'true'

const isOrdered = (pod: Pod): boolean =>
  pod.metadata.annotations?.['apps.kruise.io/container-launch-priority'] === 'Ordered'

/**
 * ACS sidecars without an ECI priority come first, one after the other; then ECI's priority decides, then
 * Kruise's (or the list order, where the pod asks for it); larger starts earlier, equals start together.
 */
function startGroups(
  mains: readonly ContainerLife[],
  dialects: readonly Dialect[],
  isListed: boolean,
): (readonly ContainerLife[])[] {
  const first: (readonly ContainerLife[])[] = []
  const byRank = new Map<string, { launch: number; kruise: number; members: ContainerLife[] }>()
  mains.forEach((life, index) => {
    const dialect = dialects[index]!
    if (dialect.acsSidecar && dialect.launch === undefined) {
      first.push([life])
      return
    }
    const launch = dialect.launch ?? 0
    const kruise = isListed ? -index : (dialect.kruise ?? 0)
    const key = `${launch}/${kruise}`
    const group = byRank.get(key)
    if (group === undefined) byRank.set(key, { launch, kruise, members: [life] })
    else group.members.push(life)
  })
  const ranked = [...byRank.values()].sort((a, b) => b.launch - a.launch || b.kruise - a.kruise)
  return [...first, ...ranked.map((group) => group.members)]
}

/**
 * Without exit priorities all main containers end together. With them each group gets the whole grace
 * period, as ECI does it, unless the pod asks for one that is shared. ACS sidecars end last, in reverse.
 */
function mainExitGroups(
  pod: Pod,
  mains: readonly ContainerLife[],
  dialects: readonly Dialect[],
): ExitGroup[] {
  const byRank = new Map<number, string[]>()
  const last: string[] = []
  mains.forEach((life, index) => {
    const dialect = dialects[index]!
    if (dialect.acsSidecar && dialect.exit === undefined) {
      last.unshift(life.name)
      return
    }
    const rank = dialect.exit ?? 0
    byRank.set(rank, [...(byRank.get(rank) ?? []), life.name])
  })
  const usesPriorities = dialects.some((dialect) => dialect.exit !== undefined)
  const isShared = !usesPriorities || isTrue(pod.metadata.annotations?.[sharedGraceAnnotation])
  const grace = isShared ? 'shared' : 'own'
  return [
    ...[...byRank.entries()].sort(([a], [b]) => b - a).map(([, names]): ExitGroup => ({ names, grace })),
    ...last.map((name): ExitGroup => ({ names: [name], grace: 'shared' })),
  ]
}
