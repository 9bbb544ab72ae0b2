import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { type Clock, messageOf } from '@outrigger/foundation'
import type { WebhookClientConfig } from '@outrigger/kube'

/** Answers longer than this are given up: no review needs so much. */
const maxAnswerBytes = 16 * 1024 * 1024
/** Connections that stay open to one webhook. */
const maxIdleSockets = 8

/** Finds where a Service listens: host and port of one of its endpoints. Undefined when there is none. */
export type ServiceResolver = (
  namespace: string,
  name: string,
  port: number,
) => { readonly host: string; readonly port: number } | undefined

export interface WebhookCallOptions {
  /** Milliseconds. */
  readonly timeout: number
  readonly signal: AbortSignal
}

/** Posts JSON to webhooks over TLS, on connections that are kept. */
export interface WebhookClient {
  /**
   * The parsed answer. Rejects with a plain Error whose message reads as that of kube-apiserver:
   * `Post "https://x.y.svc:443/?timeout=10s": context deadline exceeded`.
   */
  post(config: WebhookClientConfig, body: string, options: WebhookCallOptions): Promise<unknown>
  /** Ends all connections. */
  close(): void
}

interface Target {
  readonly agent: Agent
  /** As it is shown in errors. */
  readonly url: URL
  readonly host: string
  readonly port: number
  readonly serverName: string
}

/** A client that trusts the CA bundle of each webhook, or the machine's CAs where there is none. */
export function createWebhookClient(resolveService: ServiceResolver, clock: Clock): WebhookClient {
  const agents = new Map<string, Agent>()

  function agentFor(caBundle: string | undefined): Agent {
    const key = caBundle ?? ''
    let agent = agents.get(key)
    if (agent === undefined) {
      agent = new Agent({
        keepAlive: true,
        maxFreeSockets: maxIdleSockets,
        ...(caBundle === undefined || caBundle === ''
          ? {}
          : { ca: Buffer.from(caBundle, 'base64').toString('utf8') }),
      })
      agents.set(key, agent)
    }
    return agent
  }

  function targetOf(config: WebhookClientConfig, timeout: number): Target {
    const agent = agentFor(config.caBundle)
    if (config.url !== undefined && config.url !== '') {
      const url = new URL(config.url)
      if (url.protocol !== 'https:') throw new Error(`webhook URL ${config.url} is not https`)
      url.searchParams.set('timeout', `${Math.round(timeout / 1000)}s`)
      const host = url.hostname.replace(/^\[|\]$/g, '')
      return { agent, url, host, port: Number(url.port || 443), serverName: host }
    }
    const service = config.service
    if (service === undefined) throw new Error('webhook has neither a URL nor a service')
    const port = service.port ?? 443
    const serverName = `${service.name}.${service.namespace}.svc`
    const path = service.path ?? '/'
    const url = new URL(`https://${serverName}:${port}${path.startsWith('/') ? path : `/${path}`}`)
    url.searchParams.set('timeout', `${Math.round(timeout / 1000)}s`)
    const address = resolveService(service.namespace, service.name, port)
    if (address === undefined)
      throw new Error(
        `${postText(url, port)}: no endpoints available for service ${JSON.stringify(service.name)}`,
      )
    return { agent, url, host: address.host, port: address.port, serverName }
  }

  return {
    async post(config, body, { timeout, signal }) {
      const target = targetOf(config, timeout)
      const deadline = new AbortController()
      const cancel = clock.after(timeout, () => deadline.abort())
      const bounded = AbortSignal.any([signal, deadline.signal])
      try {
        const answer = await sendOnce(target, body, bounded).catch((error: unknown) => {
          // A kept connection may have been closed just now; nothing was answered, so once more is safe.
          if (wasStale(error) && !bounded.aborted) return sendOnce(target, body, bounded)
          throw error
        })
        return JSON.parse(answer) as unknown
      } catch (error) {
        if (signal.aborted) throw signal.reason
        const why = bounded.aborted ? 'context deadline exceeded' : describeFailure(error, target)
        throw new Error(`${postText(target.url, target.port)}: ${why}`, { cause: error })
      } finally {
        cancel()
      }
    },
    close() {
      for (const agent of agents.values()) agent.destroy()
      agents.clear()
    },
  }
}

/** WHATWG URLs hide the default port; Go shows it for services. */
function postText(url: URL, port: number): string {
  const host = url.port === '' && url.hostname.endsWith('.svc') ? `${url.hostname}:${port}` : url.host
  return `Post "https://${host}${url.pathname}${url.search}"`
}

class StaleConnection extends Error {}
const wasStale = (error: unknown): boolean => error instanceof StaleConnection

function sendOnce(target: Target, body: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      {
        agent: target.agent,
        host: target.host,
        port: target.port,
        servername: isAddress(target.serverName) ? '' : target.serverName,
        method: 'POST',
        path: `${target.url.pathname}${target.url.search}`,
        headers: {
          host: target.url.host,
          'content-type': 'application/json',
          accept: 'application/json',
          'user-agent': 'kube-apiserver-admission',
          'content-length': Buffer.byteLength(body),
        },
        signal,
      },
      (response) => {
        readAnswer(response).then(resolve, reject)
      },
    )
    request.on('error', (error: NodeJS.ErrnoException) => {
      const isReset = error.code === 'ECONNRESET' || error.code === 'EPIPE'
      reject(request.reusedSocket && isReset ? new StaleConnection(error.message, { cause: error }) : error)
    })
    request.end(body)
  })
}

const isAddress = (host: string): boolean => /^[\d.]+$/.test(host) || host.includes(':')

async function readAnswer(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxAnswerBytes) {
      response.destroy()
      throw new Error(`the answer is longer than ${maxAnswerBytes} bytes`)
    }
    chunks.push(chunk)
  }
  const text = Buffer.concat(chunks).toString('utf8')
  const status = response.statusCode ?? 0
  if (status < 200 || status > 299) throw new Error(describeStatus(status, text))
  return text
}

function describeStatus(status: number, text: string): string {
  const shown = text.trim().slice(0, 200)
  return shown === '' || shown.startsWith('<')
    ? `the server answered with status ${status}`
    : `the server answered with status ${status}: ${shown}`
}

function describeFailure(error: unknown, target: Target): string {
  const code = (error as NodeJS.ErrnoException).code
  const address = `${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`
  switch (code) {
    case 'ECONNREFUSED':
      return `dial tcp ${address}: connect: connection refused`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `dial tcp: lookup ${target.host}: no such host`
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return `dial tcp ${address}: connect: no route to host`
    case 'ECONNRESET':
    case 'EPIPE':
      return 'EOF'
    case 'CERT_HAS_EXPIRED':
      return 'tls: failed to verify certificate: x509: certificate has expired or is not yet valid'
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'CERT_SIGNATURE_FAILURE':
      return 'tls: failed to verify certificate: x509: certificate signed by unknown authority'
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return `tls: failed to verify certificate: x509: certificate is not valid for ${target.serverName}`
    default:
      return messageOf(error)
  }
}
