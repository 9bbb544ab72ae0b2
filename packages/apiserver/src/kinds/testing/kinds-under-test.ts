import { type Random, SeededRandom } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { applyMergePatch, deepCopy, type FieldError, type KubeObject } from '@outrigger/kube'
import { builtInAdmission } from '../../admission/builtin/built-in-admission.ts'
import type { AdmissionAttributes, AdmissionPlugin, Operation } from '../../admission/plugin.ts'
import { MemoryObjects } from '../../auth/memory-objects.ts'
import type { Resource, Strategy, WriteContext } from '../../registry/resource.ts'
import { builtInResources } from '../built-in-resources.ts'
import type { KindsEnvironment } from '../environment.ts'

/** What a write came to. */
export interface Outcome {
  readonly object: KubeObject
  readonly errors: readonly FieldError[]
  readonly warnings: readonly string[]
}

/** The built-in kinds and admission over objects in memory, without a server around them. For tests only. */
export class KindsUnderTest {
  readonly objects = new MemoryObjects()
  readonly clock = new ManualClock()
  readonly random: Random = new SeededRandom(7)
  readonly resources: readonly Resource[]
  readonly #admission: readonly AdmissionPlugin[]
  readonly #context: WriteContext

  constructor(options: { readonly gates?: readonly string[]; readonly isAdmitting?: boolean } = {}) {
    const isEnabled = (gate: string) => options.gates?.includes(gate) === true
    const environment: KindsEnvironment = {
      objects: this.objects,
      clock: this.clock,
      random: this.random,
      isEnabled,
    }
    this.resources = builtInResources(environment)
    this.#admission = options.isAdmitting === false ? [] : builtInAdmission(environment)
    const user = { name: 'admin', groups: ['system:masters'] }
    this.#context = { user, now: this.clock.now(), namespace: 'NS', isEnabled }
    this.put('namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'NS' },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    })
    this.put('serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'default', namespace: 'NS' },
    })
  }

  find(plural: string, group?: string, version?: string): Resource {
    const found = this.resources.find(
      (one) =>
        one.plural === plural &&
        (group === undefined || one.group === group) &&
        (version === undefined || one.version === version),
    )
    if (found === undefined) throw new Error(`no resource ${plural}`)
    return found
  }

  put(plural: string, object: object): void {
    const { storage } = this.find(plural)
    this.objects.put(storage, object as KubeObject)
  }

  async create(resource: Resource, body: object): Promise<Outcome> {
    const { strategy } = resource
    const object = deepCopy(body) as KubeObject
    object.apiVersion ??= resource.group === '' ? resource.version : `${resource.group}/${resource.version}`
    object.kind ??= resource.kind
    if (resource.namespaced) object.metadata.namespace = 'NS'
    strategy.applyDefaults(object)
    const warnings: string[] = []
    await this.#admit(resource, 'CREATE', object, undefined, warnings, 'mutate')
    strategy.applyDefaults(object)
    object.metadata.uid = this.random.uuid()
    object.metadata.creationTimestamp = '2026-01-01T00:00:00Z'
    if (!object.metadata.name && object.metadata.generateName)
      object.metadata.name = object.metadata.generateName + this.random.suffix(5)
    strategy.prepareForCreate(object, this.#context)
    const errors = strategy.validateCreate(object, this.#context)
    warnings.push(...strategy.warnings(object, undefined))
    if (errors.length === 0) {
      await this.#admit(resource, 'CREATE', object, undefined, warnings, 'validate')
      this.objects.put(resource.storage, object)
      strategy.afterWrite?.({ type: 'created', object })
    }
    return { object, errors, warnings }
  }

  /** A merge patch of a stored object, by the main rules or those of a subresource. */
  async patch(resource: Resource, name: string, patch: object, subresource?: string): Promise<Outcome> {
    const view = subresource === undefined ? undefined : resource.subresources[subresource]
    const strategy: Strategy = view?.type === 'view' ? view.strategy : resource.strategy
    const old = this.get(resource, name)
    const object = deepCopy(applyMergePatch(old, patch)) as KubeObject
    strategy.applyDefaults(object)
    const warnings: string[] = []
    if (subresource === undefined) await this.#admit(resource, 'UPDATE', object, old, warnings, 'mutate')
    strategy.applyDefaults(object)
    strategy.prepareForUpdate(object, old, this.#context)
    const errors = strategy.validateUpdate(object, old, this.#context)
    warnings.push(...strategy.warnings(object, old))
    if (errors.length === 0) {
      this.objects.put(resource.storage, object)
      strategy.afterWrite?.({ type: 'updated', object })
    }
    return { object, errors, warnings }
  }

  get(resource: Resource, name: string): KubeObject {
    const found = this.objects.get(resource.storage, { namespace: resource.namespaced ? 'NS' : '', name })
    if (found === undefined) throw new Error(`${resource.plural} ${name} is not there`)
    return found
  }

  async #admit(
    resource: Resource,
    operation: Operation,
    object: KubeObject,
    oldObject: KubeObject | undefined,
    warnings: string[],
    step: 'mutate' | 'validate',
  ): Promise<void> {
    const attributes: AdmissionAttributes = {
      operation,
      resource,
      subresource: '',
      namespace: resource.namespaced ? 'NS' : '',
      name: object.metadata.name ?? '',
      object,
      oldObject,
      options: {},
      isDryRun: false,
      user: this.#context.user,
      warn: (text) => void warnings.push(text),
    }
    const { signal } = new AbortController()
    for (const plugin of this.#admission)
      if (plugin.concerns(attributes)) await plugin[step]?.(attributes, signal)
  }
}
