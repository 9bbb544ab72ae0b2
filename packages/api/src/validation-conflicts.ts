import { deepEqual, type FieldError, invalid, type LabelSelector, type Volume } from '@outrigger/kube'
import { canaryBaseOf, namespaceSelectorOf, podContainerNames, type SidecarSet } from './sidecar-set.ts'

/**
 * Where this SidecarSet and another one that can select the same pod want different things under one
 * name. A canary and its base are meant to share names and are not compared, in either direction.
 */
export function conflictErrors(sidecarSet: SidecarSet, others: readonly SidecarSet[]): FieldError[] {
  const words = wordsOf(sidecarSet)
  const errors: FieldError[] = []
  // What they have in common by name is looked at first: it is little, and of ten thousand nearly all are done with by it.
  for (const other of others) {
    if (other.metadata.name === sidecarSet.metadata.name || !haveWordsInCommon(words, wordsOf(other)))
      continue
    if (areCanaryAndBase(sidecarSet, other) || !canMeet(sidecarSet, other)) continue
    errors.push(...conflictsBetween(sidecarSet, other))
  }
  return errors
}

/** Everything a SidecarSet brings that has a name. */
interface Words {
  readonly containers: ReadonlySet<string>
  readonly volumes: ReadonlyMap<string, Volume>
  /** Annotations, with their policy. */
  readonly patches: ReadonlyMap<string, string | undefined>
}

/** SidecarSets are not changed once they are stored: what was read off one holds for that object. */
const knownWords = new WeakMap<SidecarSet, Words>()

function wordsOf(sidecarSet: SidecarSet): Words {
  const known = knownWords.get(sidecarSet)
  if (known !== undefined) return known
  const words = {
    containers: new Set(containerNames(sidecarSet)),
    volumes: new Map(
      (sidecarSet.spec.volumes ?? []).map((volume) => [volume.name, volume] as const).reverse(),
    ),
    patches: patchedKeys(sidecarSet),
  }
  knownWords.set(sidecarSet, words)
  return words
}

function haveWordsInCommon(left: Words, right: Words): boolean {
  for (const name of left.containers) if (right.containers.has(name)) return true
  for (const name of left.volumes.keys()) if (right.volumes.has(name)) return true
  for (const key of left.patches.keys()) if (right.patches.has(key)) return true
  return false
}

function areCanaryAndBase(left: SidecarSet, right: SidecarSet): boolean {
  return canaryBaseOf(left) === right.metadata.name || canaryBaseOf(right) === left.metadata.name
}

function canMeet(left: SidecarSet, right: SidecarSet): boolean {
  const leftNamespaces = namespaceSelectorOf(left.spec)
  const rightNamespaces = namespaceSelectorOf(right.spec)
  if (leftNamespaces && rightNamespaces && !overlap(leftNamespaces, rightNamespaces)) return false
  return overlap(left.spec.selector ?? {}, right.spec.selector ?? {})
}

function conflictsBetween(sidecarSet: SidecarSet, other: SidecarSet): FieldError[] {
  const errors: FieldError[] = []
  const { spec } = sidecarSet
  const taken = `is already used by SidecarSet ${other.metadata.name}, which can select the same pods`
  const [ours, theirs] = [wordsOf(sidecarSet), wordsOf(other)]
  for (const name of containerNames(sidecarSet))
    if (theirs.containers.has(name))
      errors.push(invalid('spec.containers', name, `the container name ${taken}`))
  for (const volume of spec.volumes ?? []) {
    const twin = theirs.volumes.get(volume.name)
    if (twin && !deepEqual(twin, volume))
      errors.push(invalid('spec.volumes', volume.name, `the volume name ${taken} with another definition`))
  }
  for (const [key, policy] of ours.patches) {
    const theirPolicy = theirs.patches.get(key)
    if (theirPolicy === undefined || policy === 'Retain' || theirPolicy === 'Retain') continue
    if (policy === 'Overwrite' || theirPolicy === 'Overwrite')
      errors.push(invalid('spec.patchPodMetadata', key, `the annotation ${taken}`))
  }
  return errors
}

/** The names containers are known by, and those they have in the pod. */
function containerNames({ spec }: SidecarSet): string[] {
  return (['initContainers', 'containers'] as const).flatMap((list) =>
    (spec[list] ?? []).flatMap((sidecar) => [
      ...new Set([sidecar.name, ...podContainerNames(sidecar, list)]),
    ]),
  )
}

function patchedKeys({ spec }: SidecarSet): Map<string, string | undefined> {
  return new Map(
    (spec.patchPodMetadata ?? []).flatMap(({ annotations, patchPolicy }) =>
      Object.keys(annotations ?? {}).map((key) => [key, patchPolicy] as const),
    ),
  )
}

/** Whether some set of labels could satisfy both selectors; errs towards yes. */
export function overlap(left: LabelSelector, right: LabelSelector): boolean {
  return !excludes(left, right) && !excludes(right, left)
}

/** Whether what `left` demands of a key is something `right` forbids. */
function excludes(left: LabelSelector, right: LabelSelector): boolean {
  const demands = demandsOf(left)
  for (const [key, value] of Object.entries(right.matchLabels ?? {}))
    if (demands.get(key)?.values?.includes(value) === false) return true
  return (right.matchExpressions ?? []).some(({ key, operator, values = [] }) => {
    const demand = demands.get(key)
    if (demand === undefined) return false
    if (operator === 'In') return demand.values?.every((value) => !values.includes(value)) ?? false
    if (operator === 'NotIn') return demand.values?.every((value) => values.includes(value)) ?? false
    return operator === 'DoesNotExist'
  })
}

type Demands = ReadonlyMap<string, { readonly values?: readonly string[] }>

const knownDemands = new WeakMap<LabelSelector, Demands>()

/** Which values of a key a selector accepts; `values` is absent when any will do. */
function demandsOf(selector: LabelSelector): Demands {
  const known = knownDemands.get(selector)
  if (known !== undefined) return known
  const demands = new Map<string, { values?: readonly string[] }>()
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) demands.set(key, { values: [value] })
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    if (operator === 'In')
      demands.set(key, { values: demands.get(key)?.values?.filter((v) => values.includes(v)) ?? values })
    if (operator === 'Exists' && !demands.has(key)) demands.set(key, {})
  }
  knownDemands.set(selector, demands)
  return demands
}
