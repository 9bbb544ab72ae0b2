import type { ConfigMap, Container, EnvFromSource, EnvVar, Pod, Secret, Service } from '@outrigger/kube'
import { type PodPlace, readField, readResource } from './field-ref.ts'

/** Why a container cannot be configured: becomes its waiting state. */
export class ContainerConfigError extends Error {
  override readonly name = 'ContainerConfigError'
  readonly reason: string

  constructor(message: string, reason = 'CreateContainerConfigError') {
    super(message)
    this.reason = reason
  }
}

/** Where environments get other people's values from. Both reject with ContainerConfigError if refused. */
export interface EnvironmentSources {
  readonly place: PodPlace
  /** Services of the pod's namespace and the `kubernetes` service. */
  readonly services: readonly Service[]
  configMap(name: string): Promise<ConfigMap | undefined>
  secret(name: string): Promise<Secret | undefined>
}

export type Variable = { readonly name: string; readonly value: string }

/**
 * A container's environment: `envFrom`, then `env` with `$(NAME)` resolved, then service variables that
 * nobody has set. @throws ContainerConfigError
 */
export async function containerEnvironment(
  pod: Pod,
  container: Container,
  sources: EnvironmentSources,
): Promise<readonly Variable[]> {
  const services = serviceVariables(pod, sources.services)
  const values = new Map<string, string>()
  for (const source of container.envFrom ?? []) await addAll(source, sources, values)
  for (const entry of container.env ?? []) {
    const value = await variableValue(
      pod,
      container,
      entry,
      sources,
      (name) => values.get(name) ?? services.get(name),
    )
    if (value !== undefined) values.set(entry.name, value)
  }
  for (const [name, value] of services) if (!values.has(name)) values.set(name, value)
  return [...values].map(([name, value]) => ({ name, value }))
}

/** Replaces `$(NAME)` by its value; `$$` is a dollar sign; unknown names stay as they are. */
export function expandVariables(text: string, lookup: (name: string) => string | undefined): string {
  return text.replace(/\$(\$|\(([^)]*)\))/g, (whole, what: string, name: string | undefined) =>
    what === '$' ? '$' : (lookup(name ?? '') ?? whole),
  )
}

async function addAll(
  source: EnvFromSource,
  sources: EnvironmentSources,
  into: Map<string, string>,
): Promise<void> {
  const prefix = source.prefix ?? ''
  if (source.configMapRef !== undefined) {
    const { name = '', optional } = source.configMapRef
    const found = await sources.configMap(name)
    if (found === undefined && optional !== true) throw missing('configmap', name)
    for (const [key, value] of Object.entries(found?.data ?? {})) set(into, prefix + key, value)
  } else if (source.secretRef !== undefined) {
    const { name = '', optional } = source.secretRef
    const found = await sources.secret(name)
    if (found === undefined && optional !== true) throw missing('secret', name)
    for (const [key, value] of Object.entries(found?.data ?? {})) {
      set(into, prefix + key, Buffer.from(value, 'base64').toString('utf8'))
    }
  }
}

/** Names with an equals sign or a control character cannot stand in an environment; they are left out. */
function set(into: Map<string, string>, name: string, value: string): void {
  if (/^[\x20-\x3c\x3e-\x7e]+$/.test(name)) into.set(name, value)
}

async function variableValue(
  pod: Pod,
  container: Container,
  entry: EnvVar,
  sources: EnvironmentSources,
  lookup: (name: string) => string | undefined,
): Promise<string | undefined> {
  const from = entry.valueFrom
  if (from === undefined) return expandVariables(entry.value ?? '', lookup)
  const namespace = pod.metadata.namespace ?? ''
  try {
    if (from.fieldRef !== undefined) return readField(pod, from.fieldRef, sources.place)
    if (from.resourceFieldRef !== undefined) {
      const all = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
      return readResource(all, container, from.resourceFieldRef, sources.place)
    }
  } catch (error) {
    throw new ContainerConfigError((error as Error).message)
  }
  if (from.configMapKeyRef !== undefined) {
    const { name = '', key, optional } = from.configMapKeyRef
    const found = await sources.configMap(name)
    const value = found?.data?.[key]
    if (value !== undefined) return value
    if (optional === true) return undefined
    if (found === undefined) throw missing('configmap', name)
    throw new ContainerConfigError(`couldn't find key ${key} in ConfigMap ${qualified(namespace, name)}`)
  }
  if (from.secretKeyRef !== undefined) {
    const { name = '', key, optional } = from.secretKeyRef
    const found = await sources.secret(name)
    const value = found?.data?.[key]
    if (value !== undefined) return Buffer.from(value, 'base64').toString('utf8')
    if (optional === true) return undefined
    if (found === undefined) throw missing('secret', name)
    throw new ContainerConfigError(`couldn't find key ${key} in Secret ${qualified(namespace, name)}`)
  }
  throw new ContainerConfigError(`variable ${entry.name} has a source that this node does not know`)
}

const qualified = (namespace: string, name: string): string =>
  name.includes('/') ? name : `${namespace}/${name}`

function missing(kind: string, name: string): ContainerConfigError {
  return new ContainerConfigError(`${kind} "${name}" not found`)
}

/** `WEB_SERVICE_HOST` and its relatives, as Docker links once had them. */
function serviceVariables(pod: Pod, services: readonly Service[]): Map<string, string> {
  const variables = new Map<string, string>()
  const wantsAll = pod.spec.enableServiceLinks !== false
  for (const service of services) {
    const ip = service.spec?.clusterIP
    if (ip === undefined || ip === '' || ip === 'None') continue
    const isMaster = service.metadata.namespace === 'default' && service.metadata.name === 'kubernetes'
    if (!isMaster && !(wantsAll && service.metadata.namespace === pod.metadata.namespace)) continue
    addService(service, ip, variables)
  }
  return variables
}

function addService(service: Service, ip: string, variables: Map<string, string>): void {
  const prefix = service.metadata.name.toUpperCase().replaceAll('-', '_')
  const ports = service.spec?.ports ?? []
  const first = ports[0]
  if (first === undefined) return
  const host = ip.includes(':') ? `[${ip}]` : ip
  variables.set(`${prefix}_SERVICE_HOST`, ip)
  variables.set(`${prefix}_SERVICE_PORT`, String(first.port))
  for (const port of ports) {
    if (!port.name) continue
    variables.set(`${prefix}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port))
  }
  variables.set(`${prefix}_PORT`, `${(first.protocol ?? 'TCP').toLowerCase()}://${host}:${first.port}`)
  for (const port of ports) {
    const protocol = port.protocol ?? 'TCP'
    const link = `${prefix}_PORT_${port.port}_${protocol}`
    variables.set(link, `${protocol.toLowerCase()}://${host}:${port.port}`)
    variables.set(`${link}_PROTO`, protocol.toLowerCase())
    variables.set(`${link}_PORT`, String(port.port))
    variables.set(`${link}_ADDR`, ip)
  }
}
