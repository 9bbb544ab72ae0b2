import { injectionWeightOf, isNativeSidecar, namespaceSelectorOf, type SidecarSet } from '@outrigger/api'
import {
  compileLabelSelector,
  type LabelMatcher,
  type LabelSelector,
  type Labels,
  nothing,
  type Release,
  SelectorError,
} from '@outrigger/kube'

/** A SidecarSet with its selectors made ready. */
export interface CompiledSidecarSet {
  readonly sidecarSet: SidecarSet
  /** `undefined`: selects no pod at all. */
  readonly selects: LabelMatcher | undefined
  /** `undefined`: all namespaces. */
  readonly selectsNamespace: LabelMatcher | undefined
  /** The first of its native sidecars. */
  readonly nativeSidecar: string | undefined
  /** See `injectionWeightOf`. */
  readonly weight: number
}

const namespaceNameLabel = 'kubernetes.io/metadata.name'

/**
 * SidecarSets, found by the labels of a pod. Each one lies under something every pod it matches must
 * have (one label, one of a few values, or the name of its namespace), so that looking up a pod costs as much
 * as it has labels plus what is found there, however many SidecarSets there are.
 */
export class SidecarSetIndex {
  /** The release of Kubernetes that pods are created in. `undefined` while it is not known: nothing is held back then. */
  release: Release | undefined
  readonly #compiled = new Map<string, CompiledSidecarSet>()
  readonly #anchors = new Map<string, readonly string[]>()
  readonly #buckets = new Map<string, Set<CompiledSidecarSet>>()
  /** The anchors that have buckets, by what they are about: a pod has at most one of each. */
  readonly #groups = new Map<string, Set<string>>()

  constructor(sidecarSets: Iterable<SidecarSet> = []) {
    for (const sidecarSet of sidecarSets) this.set(sidecarSet)
  }

  get size(): number {
    return this.#compiled.size
  }

  get(name: string): CompiledSidecarSet | undefined {
    return this.#compiled.get(name)
  }

  /** All SidecarSets, in no particular order. */
  values(): Iterable<CompiledSidecarSet> {
    return this.#compiled.values()
  }

  /** Adds a SidecarSet or replaces the one of its name. */
  set(sidecarSet: SidecarSet): void {
    const { name } = sidecarSet.metadata
    this.delete(name)
    const compiled = compileSidecarSet(sidecarSet)
    this.#compiled.set(name, compiled)
    if (compiled.selects === undefined) return
    const anchors = this.#bestAnchors(sidecarSet)
    this.#anchors.set(name, anchors)
    for (const anchor of anchors) {
      const bucket = this.#buckets.get(anchor)
      if (bucket !== undefined) bucket.add(compiled)
      else {
        this.#buckets.set(anchor, new Set([compiled]))
        const group = this.#groups.get(groupOf(anchor)) ?? new Set()
        this.#groups.set(groupOf(anchor), group.add(anchor))
      }
    }
  }

  delete(name: string): void {
    const compiled = this.#compiled.get(name)
    if (compiled === undefined) return
    this.#compiled.delete(name)
    for (const anchor of this.#anchors.get(name) ?? []) {
      const bucket = this.#buckets.get(anchor)
      bucket?.delete(compiled)
      if (bucket?.size !== 0) continue
      this.#buckets.delete(anchor)
      const group = this.#groups.get(groupOf(anchor))
      group?.delete(anchor)
      if (group?.size === 0) this.#groups.delete(groupOf(anchor))
    }
    this.#anchors.delete(name)
  }

  /** Every SidecarSet that could match, and some that do not; sorted by name. */
  candidates(labels: Labels, namespace: string): CompiledSidecarSet[] {
    const found = new Set<CompiledSidecarSet>()
    const collect = (anchor: string) => {
      for (const compiled of this.#buckets.get(anchor) ?? []) found.add(compiled)
    }
    collect(anywhere)
    collect(namespaceAnchor(namespace))
    for (const [key, value] of Object.entries(labels)) {
      collect(labelAnchor(key, value))
      collect(keyAnchor(key))
    }
    return [...found].sort((left, right) =>
      left.sidecarSet.metadata.name < right.sidecarSet.metadata.name ? -1 : 1,
    )
  }

  /**
   * Every SidecarSet that could select a pod which this one selects, itself among them, and some that could not. Those that
   * demand another value of a label that this one demands, or another namespace, are not looked at.
   */
  rivalsOf(sidecarSet: SidecarSet): CompiledSidecarSet[] {
    const demanded = new Map<string, readonly string[]>()
    for (const anchors of anchorsOf(sidecarSet)) {
      const [group] = anchors.map(groupOf)
      if (group !== undefined && !demanded.has(group)) demanded.set(group, anchors)
    }
    const found = new Set<CompiledSidecarSet>()
    for (const [group, anchors] of this.#groups)
      for (const anchor of demanded.get(group) ?? anchors)
        for (const compiled of this.#buckets.get(anchor) ?? []) found.add(compiled)
    return [...found]
  }

  /** Of several true choices the one whose buckets are the emptiest now. */
  #bestAnchors(sidecarSet: SidecarSet): readonly string[] {
    const choices = anchorsOf(sidecarSet)
    const fullness = (anchors: readonly string[]) =>
      anchors.reduce((sum, anchor) => sum + (this.#buckets.get(anchor)?.size ?? 0), 0)
    return (
      choices.reduce<readonly string[] | undefined>(
        (best, choice) => (best === undefined || fullness(choice) < fullness(best) ? choice : best),
        undefined,
      ) ?? [anywhere]
    )
  }
}

const anywhere = '*'
const namespaceAnchor = (name: string) => `n ${name}`
const labelAnchor = (key: string, value: string) => `l ${key}=${value}`
const keyAnchor = (key: string) => `k ${key}`

/** What an anchor is about: the label it demands a value of, or the namespace. Where no value is demanded, itself. */
function groupOf(anchor: string): string {
  if (anchor.startsWith('n ')) return 'n'
  return anchor.startsWith('l ') ? anchor.slice(0, anchor.indexOf('=')) : anchor
}

function anchorsOf({ spec }: SidecarSet): string[][] {
  return [
    ...anchorChoices(namespaceSelectorOf(spec), (key, value) =>
      key === namespaceNameLabel && value !== undefined ? namespaceAnchor(value) : undefined,
    ),
    ...anchorChoices(spec.selector, (key, value) =>
      value === undefined ? keyAnchor(key) : labelAnchor(key, value),
    ),
  ]
}

/** Each choice: anchors of which every match has at least one. */
function anchorChoices(
  selector: LabelSelector | undefined,
  anchorOf: (key: string, value?: string) => string | undefined,
): string[][] {
  const choices: (string | undefined)[][] = []
  for (const [key, value] of Object.entries(selector?.matchLabels ?? {})) choices.push([anchorOf(key, value)])
  for (const { key, operator, values = [] } of selector?.matchExpressions ?? []) {
    if (operator === 'In') choices.push(values.map((value) => anchorOf(key, value)))
    if (operator === 'Exists') choices.push([anchorOf(key)])
  }
  return choices.filter((choice): choice is string[] => choice.every((anchor) => anchor !== undefined))
}

/** Makes a SidecarSet's selectors ready. A selector that is missing or empty selects nothing. */
export function compileSidecarSet(sidecarSet: SidecarSet): CompiledSidecarSet {
  const selects = compiled(sidecarSet.spec.selector)
  const namespaceSelector = namespaceSelectorOf(sidecarSet.spec)
  return {
    sidecarSet,
    selects: selects.isEverything || selects === nothing ? undefined : selects,
    selectsNamespace: namespaceSelector && compiled(namespaceSelector),
    nativeSidecar: sidecarSet.spec.initContainers?.find(isNativeSidecar)?.name,
    weight: injectionWeightOf(sidecarSet),
  }
}

/** A selector that cannot be understood selects nothing. */
function compiled(selector: LabelSelector | undefined): LabelMatcher {
  try {
    return compileLabelSelector(selector)
  } catch (error) {
    if (error instanceof SelectorError) return nothing
    throw error
  }
}
