import type { Resource } from './resource.ts'

/** A group with its versions, the preferred one first. */
export interface RegisteredGroup {
  readonly group: string
  readonly versions: readonly string[]
}

/**
 * All resources the server knows. Built-in groups come in the order they were added, groups of custom
 * resources behind them by name. Changes are rare; lookups are one map access.
 */
export class ResourceRegistry {
  readonly #resources = new Map<string, Resource>()
  readonly #listeners = new Set<() => void>()
  #groups: readonly RegisteredGroup[] | undefined
  #generation = 0

  /** Rises with every change; what was derived under the same number is still right. */
  get generation(): number {
    return this.#generation
  }

  get all(): Iterable<Resource> {
    return this.#resources.values()
  }

  find(group: string, version: string, plural: string): Resource | undefined {
    return this.#resources.get(`${group}/${version}/${plural}`)
  }

  /** The resource that serves a kind in a version. */
  findKind(group: string, version: string, kind: string): Resource | undefined {
    for (const resource of this.#resources.values())
      if (resource.kind === kind && resource.version === version && resource.group === group) return resource
    return undefined
  }

  /** Some version of a stored resource, the storage version if it is served. */
  findStored(group: string, plural: string): Resource | undefined {
    let found: Resource | undefined
    for (const resource of this.#resources.values()) {
      if (resource.storage.group !== group || resource.storage.resource !== plural) continue
      if (resource.group === resource.storage.group && resource.version === resource.storage.version)
        return resource
      found ??= resource
    }
    return found
  }

  hasGroup(group: string): boolean {
    return this.groups.some((one) => one.group === group)
  }

  hasVersion(group: string, version: string): boolean {
    return this.groups.some((one) => one.group === group && one.versions.includes(version))
  }

  /** In discovery order. */
  get groups(): readonly RegisteredGroup[] {
    this.#groups ??= this.#orderGroups()
    return this.#groups
  }

  /** The resources of one version, by name. */
  resourcesOf(group: string, version: string): readonly Resource[] {
    return [...this.#resources.values()]
      .filter((resource) => resource.group === group && resource.version === version)
      .sort((one, other) => (one.plural < other.plural ? -1 : 1))
  }

  /** Adds resources or replaces those of the same group, version and name. */
  add(...resources: readonly Resource[]): void {
    for (const resource of resources)
      this.#resources.set(`${resource.group}/${resource.version}/${resource.plural}`, resource)
    this.#changed()
  }

  remove(resource: Pick<Resource, 'group' | 'version' | 'plural'>): void {
    if (this.#resources.delete(`${resource.group}/${resource.version}/${resource.plural}`)) this.#changed()
  }

  /** Replaces all versions of one resource (`plural` in `group`) in one step; an empty list removes it. */
  replace(group: string, plural: string, resources: readonly Resource[]): void {
    for (const [key, resource] of this.#resources)
      if (resource.group === group && resource.plural === plural) this.#resources.delete(key)
    for (const resource of resources)
      this.#resources.set(`${resource.group}/${resource.version}/${resource.plural}`, resource)
    this.#changed()
  }

  /** Calls `listener` after every change. The answer stops it. */
  onChange(listener: () => void): () => void {
    const own = () => listener()
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  #changed(): void {
    this.#generation++
    this.#groups = undefined
    for (const listener of [...this.#listeners]) listener()
  }

  #orderGroups(): readonly RegisteredGroup[] {
    const versions = new Map<string, string[]>()
    const custom = new Set<string>()
    for (const { group, version, isCustom } of this.#resources.values()) {
      const known = versions.get(group)
      if (known === undefined) versions.set(group, [version])
      else if (!known.includes(version)) known.push(version)
      if (isCustom) custom.add(group)
    }
    const names = [...versions.keys()]
    return [
      ...names.filter((name) => !custom.has(name)),
      ...names.filter((name) => custom.has(name)).sort(),
    ].map((group) => ({ group, versions: (versions.get(group) ?? []).sort(byPriority) }))
  }
}

const versionPattern = /^v(\d+)(?:(alpha|beta)(\d+))?$/
const stages = ['alpha', 'beta', undefined]

/** Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then everything else by name. */
export function byPriority(one: string, other: string): number {
  const left = versionPattern.exec(one)
  const right = versionPattern.exec(other)
  if (left === null || right === null) {
    if (left !== null) return -1
    if (right !== null) return 1
    return one < other ? -1 : one > other ? 1 : 0
  }
  const stage = stages.indexOf(right[2]) - stages.indexOf(left[2])
  if (stage !== 0) return stage
  const major = Number(right[1]) - Number(left[1])
  return major !== 0 ? major : Number(right[3] ?? 0) - Number(left[3] ?? 0)
}
