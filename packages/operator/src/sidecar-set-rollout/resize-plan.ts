import type { SidecarResources } from '@outrigger/injection'
import { type Container, type ContainerStatus, compareQuantities, type Pod } from '@outrigger/kube'
import type { ResizeMark, Resources } from '../sidecar-set-status/resize-mark.ts'

/** What one container of a pod is to have of cpu and memory. */
export interface ContainerAmounts {
  readonly list: 'initContainers' | 'containers'
  readonly name: string
  readonly resources: Resources
}

/** How far the node is with a resize that the pod asks for. */
export type ResizeProgress =
  | { readonly is: 'done' }
  | { readonly is: 'under way'; readonly message: string }
  /** The node never will. */
  | { readonly is: 'infeasible'; readonly message: string }

const sides = ['limits', 'requests'] as const
/** What a running container can be given otherwise. */
const resizable = ['cpu', 'memory'] as const

/** What the containers that a SidecarSet brings have now. */
export function amountsBefore(pod: Pod, brought: readonly SidecarResources[]): ResizeMark['before'] {
  return Object.fromEntries(
    brought.flatMap(({ list, name }) => {
      const container = containerOf(pod, list, name)
      return container === undefined ? [] : [[name, amountsOf(container.resources)]]
    }),
  )
}

/**
 * What containers are to have that had `before`: what the SidecarSet has changed between two contents, and everything else as it
 * was. So amounts that others have set, a LimitRange for one, stay.
 */
export function wantedAmounts(
  pod: Pod,
  before: ResizeMark['before'],
  carried: readonly SidecarResources[],
  wanted: readonly SidecarResources[],
): ContainerAmounts[] {
  return wanted.flatMap(({ list, name, resources }) => {
    const had = before[name]
    if (had === undefined || containerOf(pod, list, name) === undefined) return []
    const old = carried.find((one) => one.list === list && one.name === name)?.resources ?? {}
    return [{ list, name, resources: merged(had, old, resources) }]
  })
}

/** What containers had before a resize began. */
export function formerAmounts(pod: Pod, before: ResizeMark['before']): ContainerAmounts[] {
  return Object.entries(before).flatMap(([name, resources]) => {
    const list = (['containers', 'initContainers'] as const).find((one) => containerOf(pod, one, name))
    return list === undefined ? [] : [{ list, name, resources }]
  })
}

/** The same, with what containers have now and would have no more. */
export function withAdded(pod: Pod, wanted: readonly ContainerAmounts[]): ContainerAmounts[] {
  return wanted.map(({ list, name, resources }) => {
    const has = amountsOf(containerOf(pod, list, name)?.resources)
    const limits = { ...has.limits, ...resources.limits }
    const requests = { ...has.requests, ...resources.requests }
    return { list, name, resources: { limits, requests } }
  })
}

/** The strategic merge patch of a pod's spec that gives containers these amounts; `undefined` where they have them. */
export function resizePatch(pod: Pod, wanted: readonly ContainerAmounts[]): object | undefined {
  const changed = wanted.flatMap(({ list, name, resources }) => {
    const change = changeOf(amountsOf(containerOf(pod, list, name)?.resources), resources)
    return change === undefined ? [] : [{ list, container: { name, resources: change } }]
  })
  if (changed.length === 0) return undefined
  const inList = (wantedList: ContainerAmounts['list']) => {
    const containers = changed.filter(({ list }) => list === wantedList).map(({ container }) => container)
    return containers.length === 0 ? {} : { [wantedList]: containers }
  }
  return { ...inList('containers'), ...inList('initContainers') }
}

/**
 * What the node says of a pod that asks for these amounts already. A pod without a node, or whose containers do not run, gets
 * them when they start.
 */
export function resizeProgress(pod: Pod, wanted: readonly ContainerAmounts[]): ResizeProgress {
  const { metadata, spec, status } = pod
  if (!spec.nodeName) return { is: 'done' }
  const saying = (type: string) =>
    status?.conditions?.find((condition) => condition.type === type && condition.status === 'True')
  const pending = saying('PodResizePending')
  if (pending?.reason === 'Infeasible')
    return { is: 'infeasible', message: pending.message ?? 'the node cannot give what is asked for' }
  if (pending !== undefined) return underWay(pending.message)
  const acting = saying('PodResizeInProgress')
  if (acting !== undefined) return underWay(acting.message)
  const { observedGeneration } = status ?? {}
  const hasSeen =
    observedGeneration === undefined
      ? wanted.every((one) => isInForce(pod, one))
      : observedGeneration >= (metadata.generation ?? 0)
  return hasSeen ? { is: 'done' } : underWay(undefined)
}

function underWay(message: string | undefined): ResizeProgress {
  return { is: 'under way', message: message || 'the node has not taken the new amounts yet' }
}

/** By what the node reports of a container that runs; kubelets that report nothing are believed. */
function isInForce({ status }: Pod, { list, name, resources }: ContainerAmounts): boolean {
  const statuses: readonly ContainerStatus[] | undefined =
    status?.[list === 'containers' ? 'containerStatuses' : 'initContainerStatuses']
  const reported = statuses?.find((one) => one.name === name && one.state?.running !== undefined)?.resources
  return reported === undefined || changeOf(amountsOf(reported), resources) === undefined
}

function containerOf(pod: Pod, list: ContainerAmounts['list'], name: string): Container | undefined {
  return pod.spec[list]?.find((container) => container.name === name)
}

function amountsOf(resources: Resources = {}): Resources {
  const amounts: Resources = {}
  for (const side of sides) {
    const kept = resizable.flatMap((name) => {
      const amount = resources[side]?.[name]
      return amount === undefined ? [] : [[name, amount] as const]
    })
    if (kept.length > 0) amounts[side] = Object.fromEntries(kept)
  }
  return amounts
}

function merged(had: Resources, old: Resources, next: Resources): Resources {
  const result: Resources = {}
  for (const side of sides) {
    const amounts: Record<string, string | number> = {}
    for (const name of resizable) {
      const [before, from, to] = [had[side]?.[name], old[side]?.[name], next[side]?.[name]]
      const isSame = from === to || (from !== undefined && to !== undefined && isEqual(from, to))
      const amount = isSame ? before : to
      if (amount !== undefined) amounts[name] = amount
    }
    if (Object.keys(amounts).length > 0) result[side] = amounts
  }
  return result
}

/** `null` takes an amount away. `undefined`: nothing differs. */
function changeOf(has: Resources, wants: Resources): object | undefined {
  const change: Record<string, Record<string, string | number | null>> = {}
  for (const side of sides)
    for (const name of resizable) {
      const [from, to] = [has[side]?.[name], wants[side]?.[name]]
      if (from === to || (from !== undefined && to !== undefined && isEqual(from, to))) continue
      change[side] = { ...change[side], [name]: to ?? null }
    }
  return Object.keys(change).length === 0 ? undefined : change
}

function isEqual(left: string | number, right: string | number): boolean {
  return compareQuantities(left, right) === 0
}
