import { withStoredVersionOf } from '@outrigger/api'
import { type Client, isNotFound } from '@outrigger/client'
import { type Clock, UserError } from '@outrigger/foundation'
import {
  type CustomResourceDefinition,
  type KubeObject,
  type ResourceRef,
  resources,
  type Service,
} from '@outrigger/kube'
import { servesOthers, untilAvailable } from './service-switch.ts'

export interface ApplyOptions {
  readonly client: Pick<Client, 'get' | 'list' | 'patch'>
  readonly clock: Clock
  /** Told of each object as soon as it is done. */
  readonly report: (line: string) => void
  readonly signal: AbortSignal
  /** Milliseconds to wait for definitions to be established. Defaults to 30,000. */
  readonly establishWithin?: number
  /** See `ServiceSwitchOptions`. */
  readonly availableWithin?: number
}

/** Who the applied fields belong to. */
const fieldManager = 'outrigger-install'

const byKind: ReadonlyMap<string, ResourceRef> = new Map(
  Object.values(resources).map((resource) => [resource.kind, resource]),
)

/** The resource of an installed object. @throws TypeError for a kind no installation has. */
export function resourceOfObject({ kind = '' }: KubeObject): ResourceRef {
  const resource = byKind.get(kind)
  if (resource === undefined) throw new TypeError(`${kind} is not part of an installation`)
  return resource
}

/** How kubectl names an object: `deployment.apps/outrigger-manager`. */
export function shortName(object: KubeObject): string {
  const { group, kind } = resourceOfObject(object)
  return `${kind.toLowerCase()}${group === '' ? '' : `.${group}`}/${object.metadata.name}`
}

/**
 * Applies the objects in their order by server-side apply; definitions are waited for, so that whoever comes after
 * them can use them. A Service that leads to pods of another installation, and to ones that answer, is applied last, once
 * the manager is available. Repeatable.
 *
 * @throws UserError when definitions are not established in time, or the manager that is waited for is not available.
 */
export async function applyInstallation(
  objects: readonly KubeObject[],
  options: ApplyOptions,
): Promise<void> {
  const definitions = objects.filter(({ kind }) => kind === 'CustomResourceDefinition')
  for (const object of definitions) options.report(await applyOne(object, options))
  await Promise.all(definitions.map((object) => untilEstablished(object.metadata.name, options)))
  const service = objects.find((object): object is Service => object.kind === 'Service')
  const manager = objects.find(({ kind }) => kind === 'Deployment')
  const isLast = service !== undefined && manager !== undefined && (await servesOthers(service, options))
  for (const object of objects)
    if (!definitions.includes(object) && !(isLast && object === service))
      options.report(await applyOne(object, options))
  if (!isLast) return
  await untilAvailable(manager, service, options)
  options.report(await applyOne(service, options))
}

async function applyOne(object: KubeObject, { client, signal }: ApplyOptions): Promise<string> {
  const resource = resourceOfObject(object)
  const key = { namespace: object.metadata.namespace ?? '', name: object.metadata.name }
  const before = await client.get<KubeObject>(resource, key, { signal }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined
    throw error
  })
  const after = await client.patch<KubeObject>(
    resource,
    key,
    { type: 'apply', body: fitted(object, before) },
    { fieldManager, force: true, signal },
  )
  const isSame = before?.metadata.resourceVersion === after.metadata.resourceVersion
  return `${shortName(object)} ${before === undefined ? 'created' : isSame ? 'unchanged' : 'configured'}`
}

/** Definitions go on storing what is stored in the version it is in. */
function fitted(object: KubeObject, before: KubeObject | undefined): KubeObject {
  if (object.kind !== 'CustomResourceDefinition') return object
  return withStoredVersionOf(
    object as CustomResourceDefinition,
    before as CustomResourceDefinition | undefined,
  )
}

async function untilEstablished(name: string, options: ApplyOptions): Promise<void> {
  const { client, clock, signal, establishWithin = 30_000 } = options
  const deadline = clock.monotonic() + establishWithin
  for (;;) {
    const found = await client.get<CustomResourceDefinition>(
      resources.customResourceDefinitions,
      { namespace: '', name },
      { signal },
    )
    const isEstablished = found.status?.conditions?.some(
      ({ type, status }) => type === 'Established' && status === 'True',
    )
    if (isEstablished) return
    if (clock.monotonic() >= deadline) {
      const problem = found.status?.conditions?.find(({ status }) => status === 'False')
      throw new UserError(
        `the definition ${name} is not established after ${establishWithin / 1_000} s${problem?.message ? `: ${problem.message}` : ''}`,
        `look at kubectl describe crd ${name}`,
      )
    }
    await clock.sleep(200, signal)
  }
}
