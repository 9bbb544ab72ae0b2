import { createHash } from 'node:crypto'
import { apiVersionOf } from '@outrigger/kube'
import type { Resource, Subresource, Verb } from '../registry/resource.ts'
import type { RegisteredGroup, ResourceRegistry } from '../registry/resource-registry.ts'

/** A finished document. */
export interface Document {
  readonly body: string
  readonly etag: string
}

/** The discovery documents, made on first use and kept until the registry changes. */
export class DiscoveryDocuments {
  readonly #registry: ResourceRegistry
  readonly #documents = new Map<string, Document | undefined>()
  #generation = -1

  constructor(registry: ResourceRegistry) {
    this.#registry = registry
  }

  /** Of `/api`. */
  legacyVersions(serverAddress: string): Document {
    return this.#cached(`legacy ${serverAddress}`, () => ({
      kind: 'APIVersions',
      versions: ['v1'],
      serverAddressByClientCIDRs: [{ clientCIDR: '0.0.0.0/0', serverAddress }],
    })) as Document
  }

  /** Of `/apis`. */
  groups(): Document {
    return this.#cached('groups', () => ({
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: this.#named().map(groupOf),
    })) as Document
  }

  /** Of `/apis/GROUP`; undefined when there is no such group. */
  group(name: string): Document | undefined {
    return this.#cached(`group ${name}`, () => {
      const found = this.#named().find(({ group }) => group === name)
      return found === undefined ? undefined : { kind: 'APIGroup', apiVersion: 'v1', ...groupOf(found) }
    })
  }

  /** Of `/api/v1` or `/apis/GROUP/VERSION`; undefined when it is not served. */
  resources(group: string, version: string): Document | undefined {
    return this.#cached(`resources ${group}/${version}`, () => {
      if (!this.#registry.hasVersion(group, version)) return undefined
      return {
        kind: 'APIResourceList',
        ...(group === '' ? {} : { apiVersion: 'v1' }),
        groupVersion: apiVersionOf({ group, version }),
        resources: this.#registry.resourcesOf(group, version).flatMap(listedResources),
      }
    })
  }

  /** Everything below `/api` or `/apis` in one document (`apidiscovery.k8s.io/v2`). */
  aggregated(isLegacy: boolean, metaVersion: string): Document {
    return this.#cached(`aggregated ${isLegacy} ${metaVersion}`, () => ({
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${metaVersion}`,
      metadata: {},
      items: this.#registry.groups
        .filter(({ group }) => (group === '') === isLegacy)
        .map(({ group, versions }) => ({
          metadata: group === '' ? {} : { name: group },
          versions: versions.map((version) => ({
            version,
            resources: this.#registry.resourcesOf(group, version).map(aggregatedResource),
            freshness: 'Current',
          })),
        })),
    })) as Document
  }

  #named(): readonly RegisteredGroup[] {
    return this.#registry.groups.filter(({ group }) => group !== '')
  }

  #cached(name: string, make: () => unknown): Document | undefined {
    if (this.#generation !== this.#registry.generation) {
      this.#documents.clear()
      this.#generation = this.#registry.generation
    }
    if (!this.#documents.has(name)) {
      const made = make()
      this.#documents.set(name, made === undefined ? undefined : documentOf(made))
    }
    return this.#documents.get(name)
  }
}

function documentOf(value: unknown): Document {
  const body = JSON.stringify(value)
  return { body, etag: `"${createHash('sha512').update(body).digest('hex').toUpperCase()}"` }
}

function groupOf({ group, versions }: RegisteredGroup) {
  const all = versions.map((version) => ({ groupVersion: apiVersionOf({ group, version }), version }))
  return { name: group, versions: all, preferredVersion: all[0] }
}

const verbOrder: readonly Verb[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
]
/** The order custom resources are listed in. */
const customVerbOrder: readonly Verb[] = [
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'create',
  'update',
  'watch',
]

function verbsOf(resource: Resource): readonly Verb[] {
  return (resource.isCustom ? customVerbOrder : verbOrder).filter((verb) => resource.verbs.includes(verb))
}

/** The hash clients use to notice that stored objects changed their version. */
export function storageVersionHash({ storage, kind }: Resource): string {
  const text = `${storage.group}/${storage.version}/${kind}`
  return createHash('sha256').update(text).digest().subarray(0, 8).toString('base64')
}

function listedResources(resource: Resource): Record<string, unknown>[] {
  const { plural, singular, namespaced, kind } = resource
  return [
    {
      name: plural,
      singularName: singular,
      namespaced,
      kind,
      verbs: verbsOf(resource),
      ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
      ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
      ...(resource.virtual === undefined ? { storageVersionHash: storageVersionHash(resource) } : {}),
    },
    ...subresourcesOf(resource).map(([name, subresource]) => {
      const shown = kindOf(resource, subresource)
      return {
        name: `${plural}/${name}`,
        singularName: '',
        namespaced,
        ...(shown.group === resource.group && shown.version === resource.version
          ? {}
          : { group: shown.group, version: shown.version }),
        kind: shown.kind,
        verbs: subresourceVerbs(subresource),
      }
    }),
  ]
}

function aggregatedResource(resource: Resource) {
  const { plural, singular, namespaced, kind } = resource
  const subresources = subresourcesOf(resource).map(([name, subresource]) => ({
    subresource: name,
    responseKind: responseKind(resource, kindOf(resource, subresource)),
    verbs: subresourceVerbs(subresource),
  }))
  return {
    resource: plural,
    responseKind: responseKind(resource, { group: resource.group, version: resource.version, kind }),
    scope: namespaced ? 'Namespaced' : 'Cluster',
    singularResource: singular,
    verbs: verbsOf(resource),
    ...(resource.shortNames.length === 0 ? {} : { shortNames: resource.shortNames }),
    ...(resource.categories.length === 0 ? {} : { categories: resource.categories }),
    ...(subresources.length === 0 ? {} : { subresources }),
  }
}

interface NamedKind {
  readonly group: string
  readonly version: string
  readonly kind: string
}

/** Built-in resources leave group and version empty when they are the resource's own. */
function responseKind(resource: Resource, shown: NamedKind): NamedKind {
  if (resource.isCustom || shown.group !== resource.group || shown.version !== resource.version) return shown
  return { group: '', version: '', kind: shown.kind }
}

const subresourcesOf = (resource: Resource): [string, Subresource][] =>
  Object.entries(resource.subresources).sort(([one], [other]) => (one < other ? -1 : 1))

function kindOf(resource: Resource, subresource: Subresource): NamedKind {
  const own = { group: resource.group, version: resource.version }
  switch (subresource.type) {
    case 'view':
      return { ...own, kind: resource.kind }
    case 'connect':
      return { ...own, kind: subresource.optionsKind }
    case 'projection':
    case 'action':
      return { group: subresource.group, version: subresource.version, kind: subresource.kind }
  }
}

function subresourceVerbs(subresource: Subresource): readonly string[] {
  return subresource.type === 'action' ? ['create'] : [...subresource.verbs].sort()
}
