import {
  changePolicies,
  fieldClass,
  type SidecarSet,
  type SidecarSetSpec,
  updatesNativeSidecars,
  wayOfChange,
} from '@outrigger/api'
import { deepEqual, isRecord } from '@outrigger/kube'
import { type MovingWay, wayWords } from './change-way.ts'

/** One field in which two contents of a SidecarSet differ. */
export interface ChangedField {
  /** `spec.containers[logs].image`; items of lists by name where they have one. */
  readonly field: string
  /** Absent where the field was added. */
  readonly before?: unknown
  /** Absent where the field was removed. */
  readonly after?: unknown
  /**
   * What it takes to reach a pod: `in place` and `resized in place` while the pod runs, `made anew` by a rollout, `on recreation`
   * whenever somebody makes it anew; `no pod` is asked for it at all.
   */
  readonly reaches: (typeof wayWords)[MovingWay] | 'on recreation' | 'no pod'
}

/** The fields that end up in pods; all others tell the manager what to do. */
const podFields: ReadonlySet<string> = new Set([
  'containers',
  'initContainers',
  'volumes',
  'imagePullSecrets',
  'patchPodMetadata',
])

/** Where a SidecarSet differs from what its spec was before, in the order of the fields' names; null and empty count as absent. */
export function changedFields(before: SidecarSetSpec, after: SidecarSet): ChangedField[] {
  const found = differences(before, after.spec, ['spec'])
  const reachOf = reachesBy(
    found.map(({ steps }) => steps),
    after,
  )
  return found
    .map(({ steps, ...change }) => ({
      field: steps.reduce((path, step) => `${path}${step.startsWith('[') ? '' : '.'}${step}`),
      ...change,
      reaches: reachOf(steps),
    }))
    .filter((change) => change.reaches !== 'no pod' || !isSameSwitch(change))
}

/** What the manager is told by a switch that is off and by one that is absent is the same. */
function isSameSwitch({ before = false, after = false }: Pick<ChangedField, 'before' | 'after'>): boolean {
  return before === false && after === false
}

/** Fields that keep a running pod, which has the content `before`, from taking the present one in place. */
export function fieldsForNewPods(before: SidecarSetSpec, after: SidecarSet): string[] {
  return changedFields(before, after)
    .filter(({ reaches }) => reaches === 'on recreation' || reaches === 'made anew')
    .map(({ field }) => field)
}

interface Difference {
  readonly steps: readonly string[]
  readonly before?: unknown
  readonly after?: unknown
}

type Steps = readonly string[]

/** How the fields of one change reach pods: where the SidecarSet has policies, the class of the whole decides. */
function reachesBy(all: readonly Steps[], after: SidecarSet): (steps: Steps) => ChangedField['reaches'] {
  const policies = changePolicies(after)
  if (policies === undefined || after.spec.updateStrategy?.type === 'NotUpdate')
    return (steps) => reachByHashes(steps, after)
  const classes = all.filter(isInPods).map((steps) => classOf(steps, after))
  const changeClass =
    (['other', 'resources', 'images'] as const).find((one) => classes.includes(one)) ?? 'none'
  const way = wayOfChange({ changeClass, hasNewImages: classes.includes('images') }, policies)
  return (steps) => {
    if (!isInPods(steps)) return 'no pod'
    if (way === 'wait') return 'on recreation'
    return way === 'resize' && classOf(steps, after) === 'images' ? wayWords.images : wayWords[way]
  }
}

function isInPods([, field = '']: Steps): boolean {
  return podFields.has(field)
}

function classOf([, list = '', item = '', ...path]: Steps, { metadata, spec }: SidecarSet) {
  // Annotations that are patched into pods go along with whatever else reaches them.
  if (list === 'patchPodMetadata') return 'none'
  if (list !== 'containers' && list !== 'initContainers') return 'other'
  const container = spec[list]?.find(({ name }) => item === `[${name}]`)
  if (container === undefined) return 'other'
  return fieldClass(list, path, container, { updatesNativeSidecars: updatesNativeSidecars({ metadata }) })
}

/** Without policies nothing but an image can change while the pod runs. */
function reachByHashes(
  [, field = '', , last, ...deeper]: Steps,
  { metadata, spec }: SidecarSet,
): ChangedField['reaches'] {
  if (!podFields.has(field)) return 'no pod'
  if (last !== 'image' || deeper.length > 0 || spec.updateStrategy?.type === 'NotUpdate')
    return 'on recreation'
  return field === 'containers' || (field === 'initContainers' && updatesNativeSidecars({ metadata }))
    ? 'in place'
    : 'on recreation'
}

function differences(before: unknown, after: unknown, steps: readonly string[]): Difference[] {
  const [left, right] = [present(before), present(after)]
  if (deepEqual(left, right)) return []
  if (left === undefined) return [{ steps, after: right }]
  if (right === undefined) return [{ steps, before: left }]
  const [leftParts, rightParts] = [partsOf(left, right), partsOf(right, left)]
  if (leftParts === undefined || rightParts === undefined) return [{ steps, before: left, after: right }]
  const keys = [...new Set([...leftParts.keys(), ...rightParts.keys()])].sort()
  const inside = keys.flatMap((key) => differences(leftParts.get(key), rightParts.get(key), [...steps, key]))
  // Parts that are all the same, in another order.
  return inside.length > 0 ? inside : [{ steps, before: left, after: right }]
}

function present(value: unknown): unknown {
  const isEmpty =
    value === null ||
    (Array.isArray(value) && value.length === 0) ||
    (isRecord(value) && Object.values(value).every((item) => item === undefined || item === null))
  return isEmpty ? undefined : value
}

/** The fields of an object, or the items of a list whose items, here and in its counterpart, have names of their own. */
function partsOf(value: unknown, counterpart: unknown): ReadonlyMap<string, unknown> | undefined {
  if (isRecord(value) && isRecord(counterpart)) return new Map(Object.entries(value))
  if (!hasNames(value) || !hasNames(counterpart)) return undefined
  return new Map(value.map((item) => [`[${item.name}]`, item]))
}

function hasNames(value: unknown): value is readonly { readonly name: string }[] {
  if (!Array.isArray(value)) return false
  const names = value.map((item: unknown) => (isRecord(item) ? item['name'] : undefined))
  return names.every((name) => typeof name === 'string') && new Set(names).size === names.length
}
