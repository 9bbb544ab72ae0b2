import {
  type BindingCondition,
  type BindingResourceRef,
  bindingErrors,
  outriggerResources,
  type SidecarSet,
  type SidecarSetResourceBinding,
  type SidecarSetResourceBindingStatus,
} from '@outrigger/api'
import { ApiError, type Client, isNotFound } from '@outrigger/client'
import {
  type Controller,
  createController,
  type EventRecorder,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import { type Clock, formatTime, type Logger, type Random } from '@outrigger/foundation'
import { formatFieldError, keyOf, parseKey, resources } from '@outrigger/kube'
import { contains, ensureObject } from '../ensure-object.ts'
import { type AccessSubjects, accessName, roleBindingOf, roleOf } from './binding-access.ts'

export interface ResourceBindingOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'update' | 'patch' | 'delete'>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly events: Pick<EventRecorder, 'event'>
  readonly bindings: Informer<SidecarSetResourceBinding>
  readonly sidecarSets: Informer<SidecarSet>
  readonly subjects: AccessSubjects
}

const recheckMissing = 15_000
const recheckResolved = 300_000

/**
 * Turns each binding into a Role limited to the objects it names and gives it to the virtual nodes. A
 * binding that goes, or stops naming an object, takes the right with it.
 */
export function createResourceBindingController(options: ResourceBindingOptions): Controller {
  const { bindings, sidecarSets } = options
  const reconciler = new ResourceBindings(options)
  return createController({
    ...options,
    name: 'resource-binding',
    reconcile: (key, signal) => reconciler.reconcile(key, signal),
    concurrency: 2,
    informers: [bindings, sidecarSets],
    sources: [
      (enqueue) =>
        bindings.onChange({
          onAdd: (binding) => enqueue(keyOf(binding)),
          onUpdate: (binding) => enqueue(keyOf(binding)),
          onDelete: (binding) => enqueue(keyOf(binding)),
        }),
      (enqueue) => {
        const look = ({ metadata }: SidecarSet) => {
          for (const binding of bindings.store.list())
            if (binding.spec.subjects.some(({ name }) => name === metadata.name)) enqueue(keyOf(binding))
        }
        return sidecarSets.onChange({ onAdd: look, onDelete: look })
      },
    ],
  })
}

interface Findings {
  readonly resolvedRefs: string[]
  readonly missingRefs: string[]
  /** Objects that the manager was not allowed to look for. */
  readonly unknownRefs: string[]
}

class ResourceBindings {
  readonly #options: ResourceBindingOptions

  constructor(options: ResourceBindingOptions) {
    this.#options = options
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Outcome> {
    const binding = this.#options.bindings.store.get(key)
    if (binding === undefined || binding.metadata.deletionTimestamp !== undefined) {
      await this.#revoke(key, signal)
      return waitForChange
    }
    const errors = bindingErrors(binding)
    if (errors.length > 0) {
      // Admission refuses these; one may have slipped in while no manager answered.
      await this.#revoke(key, signal)
      await this.#report(
        binding,
        { reason: 'Invalid', message: errors.map(formatFieldError).join('; ') },
        signal,
      )
      return waitForChange
    }
    await this.#grant(binding, signal)
    const findings = await this.#lookUp(binding, signal)
    await this.#report(binding, findings, signal)
    return lookAgain(findings.missingRefs.length > 0 ? recheckMissing : recheckResolved)
  }

  async #grant(binding: SidecarSetResourceBinding, signal: AbortSignal): Promise<void> {
    const { client, subjects } = this.#options
    await ensureObject(client, resources.roles, roleOf(binding), signal)
    await ensureObject(client, resources.roleBindings, roleBindingOf(binding, subjects), signal)
  }

  /** At once, without waiting for the garbage collector. */
  async #revoke(key: string, signal: AbortSignal): Promise<void> {
    const { namespace, name } = parseKey(key)
    for (const resource of [resources.roleBindings, resources.roles])
      await this.#options.client
        .delete(resource, { namespace, name: accessName(name) }, { signal })
        .catch((error: unknown) => {
          if (!isNotFound(error)) throw error
        })
  }

  async #lookUp(binding: SidecarSetResourceBinding, signal: AbortSignal): Promise<Findings> {
    const findings: Findings = { resolvedRefs: [], missingRefs: [], unknownRefs: [] }
    for (const ref of binding.spec.resourceRefs) {
      const list = await this.#exists(binding.metadata.namespace ?? '', ref, signal)
      findings[list].push(`${ref.kind}/${ref.name}`)
    }
    return findings
  }

  async #exists(
    namespace: string,
    { kind, name }: BindingResourceRef,
    signal: AbortSignal,
  ): Promise<keyof Findings> {
    const resource = kind === 'Secret' ? resources.secrets : resources.configMaps
    try {
      await this.#options.client.get(resource, { namespace, name }, { signal })
      return 'resolvedRefs'
    } catch (error) {
      if (isNotFound(error)) return 'missingRefs'
      if (error instanceof ApiError && error.code === 403) return 'unknownRefs'
      throw error
    }
  }

  async #report(
    binding: SidecarSetResourceBinding,
    found: Findings | { readonly reason: string; readonly message: string },
    signal: AbortSignal,
  ): Promise<void> {
    const subjects = this.#subjectsOf(binding)
    const condition = this.#conditionOf(
      binding,
      'reason' in found ? found : verdictOf(found, binding, subjects),
    )
    const status: SidecarSetResourceBindingStatus = {
      ...(binding.metadata.generation !== undefined && { observedGeneration: binding.metadata.generation }),
      conditions: [condition],
      resolvedRefs: 'reason' in found ? [] : found.resolvedRefs,
      missingRefs: 'reason' in found ? [] : found.missingRefs,
      subjects,
    }
    if (contains(binding.status, status)) return
    this.#announce(binding, subjects)
    const { namespace = '', name, uid } = binding.metadata
    await this.#options.client
      .patch(
        outriggerResources.sidecarSetResourceBindings,
        { namespace, name },
        { type: 'merge', body: { metadata: { uid }, status } },
        { subresource: 'status', signal },
      )
      .catch((error: unknown) => {
        if (!isNotFound(error)) throw error
      })
  }

  #subjectsOf({ spec }: SidecarSetResourceBinding): { name: string; uid: string }[] {
    return spec.subjects.flatMap(({ name }) => {
      const uid = this.#options.sidecarSets.store.get(name)?.metadata.uid
      return uid === undefined ? [] : [{ name, uid }]
    })
  }

  #conditionOf(
    binding: SidecarSetResourceBinding,
    verdict: { reason: string; message: string },
  ): BindingCondition {
    const status = verdict.reason === 'Granted' ? 'True' : 'False'
    const before = binding.status?.conditions?.find(({ type }) => type === 'Ready')
    const { generation } = binding.metadata
    return {
      type: 'Ready',
      status,
      ...verdict,
      lastTransitionTime:
        before?.status === status ? before.lastTransitionTime : formatTime(this.#options.clock.now()),
      ...(generation !== undefined && { observedGeneration: generation }),
    }
  }

  /** A SidecarSet that was deleted and made again under its name inherits the grant; its owner should know. */
  #announce(binding: SidecarSetResourceBinding, subjects: readonly { name: string; uid: string }[]): void {
    for (const { name, uid } of subjects) {
      const before = binding.status?.subjects?.find((subject) => subject.name === name)
      if (before === undefined || before.uid === uid) continue
      const { apiVersion, kind } = {
        apiVersion: 'sidecarset.alibabacloud.com/v1alpha1',
        kind: 'SidecarSetResourceBinding',
      }
      this.#options.events.event(
        { ...binding, apiVersion, kind },
        {
          type: 'Normal',
          reason: 'SubjectReplaced',
          message: `SidecarSet ${name} was deleted and created again; the binding holds for the new one too`,
        },
      )
    }
  }
}

function verdictOf(
  { missingRefs, unknownRefs }: Findings,
  { spec }: SidecarSetResourceBinding,
  subjects: readonly { readonly name: string }[],
): { reason: string; message: string } {
  const absent = spec.subjects
    .map(({ name }) => name)
    .filter((name) => !subjects.some((subject) => subject.name === name))
  const remarks = [
    ...(unknownRefs.length > 0 ? [`the manager may not look for ${unknownRefs.join(', ')}`] : []),
    ...(absent.length > 0 ? [`SidecarSet ${absent.join(', ')} does not exist yet`] : []),
  ]
  if (missingRefs.length > 0)
    return {
      reason: 'ResourcesMissing',
      message: [`${missingRefs.join(', ')} not found`, ...remarks].join('; '),
    }
  return { reason: 'Granted', message: ['virtual nodes may read the objects named', ...remarks].join('; ') }
}
