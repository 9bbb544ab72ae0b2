import { BlockList, isIP } from 'node:net'
import type { Readable } from 'node:stream'
import type { Clock } from '@outrigger/foundation'
import type { EndpointSlice, Node, Pod, Service } from '@outrigger/kube'
import type { ConnectExchange, ConnectHandler, ConnectRequest } from '../registry/connect.ts'
import type { Objects } from '../registry/objects.ts'
import { badRequest, internalError, notFound, StatusError } from '../registry/status-error.ts'
import { chooseContainer, isTrue, parseLogOptions } from './log-request.ts'
import { forwardedHeaders, relayResponse, relayUpgrade } from './relay.ts'
import { callUpstream, type Upstream, upstreamError } from './upstream-call.ts'

export interface KubeletProxyOptions {
  readonly objects: Objects
  readonly clock: Clock
  /**
   * PEM. How this server proves itself to kubelets, and who vouches for them; without `ca` any kubelet is
   * believed, as kube-apiserver does by default. Without all of it no kubelet is dialed.
   */
  readonly kubelet?: { readonly ca?: string; readonly certificate: string; readonly key: string }
  /** CONNECT admission; runs before anything is dialed. */
  readonly admit?: (request: ConnectRequest) => Promise<void>
}

/** A name in a proxy path: `name`, `name:port` or `https:name:port`. */
export interface ProxiedName {
  readonly scheme: 'http' | 'https' | ''
  readonly name: string
  /** A number, a name, or empty. */
  readonly port: string
}

/** Takes apart the name of a `pods/proxy`, `services/proxy` or `nodes/proxy` request. */
export function parseProxiedName(text: string): ProxiedName {
  const parts = text.split(':')
  if (parts.length === 1) return { scheme: '', name: text, port: '' }
  if (parts.length === 2) return { scheme: '', name: parts[0] ?? '', port: parts[1] ?? '' }
  const scheme = parts[0] === 'https' || parts[0] === 'http' ? parts[0] : ''
  return { scheme, name: parts[1] ?? '', port: parts[2] ?? '' }
}

/** Serves the subresources that end at a kubelet or in a pod: log, exec, attach, portforward and proxy. */
export function createKubeletProxy(options: KubeletProxyOptions): ConnectHandler {
  return async (request, exchange) => {
    await options.admit?.(request)
    switch (`${request.resource.plural}/${request.subresource}`) {
      case 'pods/log':
        return serveLog(options, request, exchange)
      case 'pods/exec':
      case 'pods/attach':
        return serveSession(options, request, exchange, request.subresource)
      case 'pods/portforward':
        return servePortForward(options, request, exchange)
      case 'pods/proxy':
      case 'services/proxy':
      case 'nodes/proxy':
        return serveProxy(options, request, exchange)
      default:
        throw notFound({ group: '', resource: request.resource.plural }, request.key.name)
    }
  }
}

async function serveLog(
  options: KubeletProxyOptions,
  request: ConnectRequest,
  exchange: ConnectExchange,
): Promise<void> {
  const pod = request.object as Pod
  const query = parseLogOptions(pod, request.query)
  const container = chooseContainer(pod, request.query.get('container') ?? '')
  if (exchange.type === 'upgrade') throw badRequest('logs are not upgraded')
  const nodeName = pod.spec?.nodeName
  if (!nodeName) {
    exchange.response.writeHead(204)
    exchange.response.end()
    return
  }
  const { namespace, name } = request.key
  const path = `/containerLogs/${encodePath(namespace, name, container)}`
  const target = kubeletOf(options, nodeName, withQuery(path, query))
  const answer = await callUpstream(target, {
    method: 'GET',
    headers: { accept: '*/*' },
    signal: request.signal,
    clock: options.clock,
  })
  const { response } = answer
  const code = response.statusCode ?? 500
  if (answer.type === 'upgrade' || code < 200 || code > 206)
    throw await upstreamError(response, `get pods ${name}`)
  await relayResponse(response, exchange.response, request.signal, 'text/plain')
}

async function serveSession(
  options: KubeletProxyOptions,
  request: ConnectRequest,
  exchange: ConnectExchange,
  kind: string,
): Promise<void> {
  const pod = request.object as Pod
  const container = chooseContainer(pod, request.query.get('container') ?? '')
  const nodeName = hostOf(pod)
  const query = new URLSearchParams()
  for (const [asked, sent] of streams) if (isTrue(request.query.get(asked))) query.set(sent, '1')
  if (kind === 'exec') for (const part of request.query.getAll('command')) query.append('command', part)
  const { namespace, name } = request.key
  const path = `/${kind}/${encodePath(namespace, name, container)}`
  await passUpgrade(kubeletOf(options, nodeName, withQuery(path, query)), options, request, exchange)
}

/** Names of the streams in requests to this server and to a kubelet. */
const streams = [
  ['stdin', 'input'],
  ['stdout', 'output'],
  ['stderr', 'error'],
  ['tty', 'tty'],
] as const

async function servePortForward(
  options: KubeletProxyOptions,
  request: ConnectRequest,
  exchange: ConnectExchange,
): Promise<void> {
  const nodeName = hostOf(request.object as Pod)
  const query = new URLSearchParams()
  const ports = request.query.getAll('ports').flatMap((text) => text.split(','))
  for (const port of ports) if (port !== '') query.append('port', port)
  const path = `/portForward/${encodePath(request.key.namespace, request.key.name)}`
  await passUpgrade(kubeletOf(options, nodeName, withQuery(path, query)), options, request, exchange)
}

async function serveProxy(
  options: KubeletProxyOptions,
  request: ConnectRequest,
  exchange: ConnectExchange,
): Promise<void> {
  const query = new URLSearchParams(request.query)
  const path = withQuery(`/${request.path}`, query)
  const target = proxyTarget(options, request, path)
  if (exchange.type === 'upgrade') return passUpgrade(target, options, request, exchange)
  const incoming = exchange.request
  const hasBody = request.method !== 'GET' && request.method !== 'HEAD'
  const answer = await callUpstream(target, {
    method: request.method,
    headers: { ...forwardedHeaders(incoming.headers), host: `${target.host}:${target.port}` },
    ...(hasBody ? { body: incoming as Readable } : {}),
    signal: request.signal,
    clock: options.clock,
  })
  if (answer.type === 'upgrade') {
    answer.socket.destroy()
    throw badRequest('the answer is an upgrade nobody asked for')
  }
  await relayResponse(answer.response, exchange.response, request.signal)
}

function proxyTarget(options: KubeletProxyOptions, request: ConnectRequest, path: string): Upstream {
  const { scheme, name, port } = parseProxiedName(request.key.name)
  const { namespace } = request.key
  switch (request.resource.plural) {
    case 'nodes': {
      const target = kubeletOf(options, name, path)
      return port === '' ? target : { ...target, port: Number(port) || target.port }
    }
    case 'services': {
      const { host, port: found } = serviceEndpoint(options.objects, request.object as Service, port)
      return { isTls: scheme === 'https', host: proxyable(host), port: found, path }
    }
    default: {
      const pod = request.object as Pod
      const host = pod.status?.podIP
      if (!host) throw badRequest(`address not allowed: pod ${namespace}/${name} has no address yet`)
      return { isTls: scheme === 'https', host: proxyable(host), port: podPort(pod, port), path }
    }
  }
}

/**
 * Refuses addresses that mean this machine or its link: whoever may write a pod's status must not reach the
 * server's own neighbours through it.
 */
function proxyable(host: string): string {
  if (isIP(host) !== 0 && unreachable.check(host, isIP(host) === 4 ? 'ipv4' : 'ipv6'))
    throw badRequest('address not allowed')
  return host
}

const unreachable = new BlockList()
unreachable.addSubnet('127.0.0.0', 8, 'ipv4')
unreachable.addSubnet('169.254.0.0', 16, 'ipv4')
unreachable.addSubnet('0.0.0.0', 8, 'ipv4')
unreachable.addAddress('::1', 'ipv6')
unreachable.addAddress('::', 'ipv6')
unreachable.addSubnet('fe80::', 10, 'ipv6')

/** A number, a port's name, or the first port there is. */
function podPort(pod: Pod, port: string): number {
  if (/^\d+$/.test(port)) return Number(port)
  const ports = (pod.spec?.containers ?? []).flatMap(({ ports: own }) => own ?? [])
  if (port === '') return ports[0]?.containerPort ?? 80
  const named = ports.find(({ name }) => name === port)
  if (named === undefined) throw badRequest(`pod ${pod.metadata.name} has no port ${JSON.stringify(port)}`)
  return named.containerPort
}

/**
 * Where a Service listens: a ready endpoint of the port with this name or number. Endpoints are in the EndpointSlices
 * that carry the service's name. @throws StatusError 503 when there is none
 */
export function serviceEndpoint(
  objects: Objects,
  service: Service,
  port: string,
): { readonly host: string; readonly port: number } {
  const { name, namespace = '' } = service.metadata
  const ports = service.spec?.ports ?? []
  const wanted =
    port === '' && ports.length === 1
      ? ports[0]
      : ports.find((one) => one.name === port || String(one.port) === port)
  for (const slice of objects.list<EndpointSlice>(
    { group: 'discovery.k8s.io', resource: 'endpointslices' },
    namespace,
  )) {
    if (slice.metadata.labels?.['kubernetes.io/service-name'] !== name) continue
    const target = slice.ports?.find((one) => (one.name ?? '') === (wanted?.name ?? '')) ?? undefined
    const endpoint = slice.endpoints?.find(
      ({ conditions, addresses }) => conditions?.ready !== false && addresses.length > 0,
    )
    const host = endpoint?.addresses[0]
    if (wanted !== undefined && target?.port !== undefined && host !== undefined)
      return { host, port: target.port }
  }
  throw new StatusError({
    code: 503,
    reason: 'ServiceUnavailable',
    message: `no endpoints available for service ${JSON.stringify(name)}`,
  })
}

/** Sends an upgrade on and, once accepted, becomes a pipe. */
async function passUpgrade(
  target: Upstream,
  options: KubeletProxyOptions,
  request: ConnectRequest,
  exchange: ConnectExchange,
): Promise<void> {
  if (exchange.type !== 'upgrade') throw badRequest('Upgrade request required')
  const { headers } = exchange.request
  const answer = await callUpstream(target, {
    method: request.method,
    headers: {
      ...forwardedHeaders(headers),
      host: `${target.host}:${target.port}`,
      connection: 'Upgrade',
      upgrade: headers.upgrade ?? '',
    },
    signal: request.signal,
    clock: options.clock,
  })
  if (answer.type === 'response')
    throw await upstreamError(
      answer.response,
      `${request.verb} ${request.resource.plural} ${request.key.name}`,
    )
  await relayUpgrade(
    exchange.socket,
    exchange.head,
    answer.socket,
    answer.head,
    answer.response,
    request.signal,
  )
}

function hostOf(pod: Pod): string {
  const nodeName = pod.spec?.nodeName
  if (!nodeName) throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`)
  return nodeName
}

/** Addresses of a node in the order in which they are tried. */
const addressTypes = ['InternalIP', 'Hostname', 'InternalDNS', 'ExternalIP', 'ExternalDNS'] as const

function kubeletOf(options: KubeletProxyOptions, nodeName: string, path: string): Upstream {
  const node = options.objects.get<Node>({ group: '', resource: 'nodes' }, { namespace: '', name: nodeName })
  if (node === undefined) throw notFound({ group: '', resource: 'nodes' }, nodeName)
  if (options.kubelet === undefined) throw internalError('this server has no credentials for kubelets')
  const addresses = node.status?.addresses ?? []
  const found = addressTypes.map((type) => addresses.find((address) => address.type === type)).find(Boolean)
  if (found === undefined)
    throw badRequest(`no preferred addresses found; known addresses: [] of node ${nodeName}`)
  return {
    isTls: true,
    host: found.address,
    port: node.status?.daemonEndpoints?.kubeletEndpoint?.Port || 10250,
    path,
    tls: options.kubelet,
  }
}

const encodePath = (...parts: readonly string[]): string => parts.map(encodeURIComponent).join('/')

function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString()
  return text === '' ? path : `${path}?${text}`
}
