import { type Clock, type Logger, messageOf } from '@outrigger/foundation'
import { ApiError, ConnectionError } from './api-error.ts'
import { readBody } from './body.ts'
import type { CallOptions } from './client.ts'
import { decoded } from './content-encoding.ts'
import type { CredentialSource, Identity } from './credential-source.ts'
import { retryPause } from './retry-policy.ts'
import { apiErrorFromAnswer } from './status-body.ts'
import type { Transport, TransportAnswer } from './transport.ts'
import { unlessAborted } from './unless-aborted.ts'

export interface Call extends CallOptions {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** A complete answer. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface HttpCallerOptions {
  readonly transport: Transport
  readonly credentials: CredentialSource
  readonly clock: Clock
  readonly logger: Logger
  readonly userAgent: string
  /** As in `ConnectionConfig`: its path comes before every path. */
  readonly server: string
}

const defaultTimeout = 30_000
/** Larger answers are refused: lists are asked for in pages. */
const largestBody = 256 * 1024 * 1024
const largestErrorBody = 1024 * 1024
/** Hops from one address of the server to another. */
const mostRedirects = 5

/** Sends requests as somebody, in time, and again where that is safe. */
export class HttpCaller {
  readonly #options: HttpCallerOptions
  readonly #prefix: string
  readonly #warned = new Set<string>()

  constructor(options: HttpCallerOptions) {
    this.#options = options
    this.#prefix = new URL(options.server).pathname.replace(/\/+$/, '')
  }

  /** The answer, whatever its status, after the retries `retryPause` allows. */
  async call(call: Call): Promise<Answer> {
    return this.#within(call, (signal, onFailure) =>
      this.#retrying(call, signal, onFailure, async (identity) => {
        const answer = await this.#send(call, identity, signal)
        const body = await readBody(answer.body, largestBody)
        return { status: answer.status, headers: answer.headers, body }
      }),
    )
  }

  /**
   * The answer once its headers are here, which is all the timeout is for; `call.signal` ends the body.
   *
   * @throws ApiError for a status other than 2xx.
   */
  async open(call: Call & { readonly signal: AbortSignal }): Promise<TransportAnswer> {
    return this.#within(call, (deadline, onFailure) =>
      this.#retrying(call, deadline, onFailure, async (identity) => {
        const stream = new AbortController()
        const onAbort = () => stream.abort(call.signal.reason)
        const onDeadline = () => stream.abort(deadline.reason)
        call.signal.addEventListener('abort', onAbort, { once: true })
        deadline.addEventListener('abort', onDeadline, { once: true })
        try {
          const answer = await this.#send(call, identity, stream.signal)
          answer.body.once('close', () => call.signal.removeEventListener('abort', onAbort))
          if (answer.status >= 200 && answer.status < 300) return answer
          const body = await readBody(answer.body, largestErrorBody)
          throw apiErrorFromAnswer(answer.status, answer.headers, body)
        } catch (error) {
          call.signal.removeEventListener('abort', onAbort)
          throw error
        } finally {
          deadline.removeEventListener('abort', onDeadline)
        }
      }),
    )
  }

  /** `work` says which attempts failed: when time is up, the last one is why. */
  async #within<T>(
    call: Call,
    work: (signal: AbortSignal, onFailure: (error: unknown) => void) => Promise<T>,
  ): Promise<T> {
    call.signal?.throwIfAborted()
    const timeout = call.timeout ?? defaultTimeout
    const controller = new AbortController()
    const onAbort = () => controller.abort(call.signal?.reason)
    call.signal?.addEventListener('abort', onAbort, { once: true })
    let last: unknown
    const cancel = this.#options.clock.after(timeout, () => {
      const before = last === undefined ? '' : `; before: ${messageOf(last)}`
      controller.abort(
        new ConnectionError(
          `no answer to ${call.method} ${withoutQuery(call.path)} within ${timeout} ms${before}`,
          { cause: last, phase: 'timeout' },
        ),
      )
    })
    try {
      return await work(controller.signal, (error) => {
        last = error
      })
    } catch (error) {
      throw controller.signal.aborted ? controller.signal.reason : error
    } finally {
      cancel()
      call.signal?.removeEventListener('abort', onAbort)
    }
  }

  async #retrying<T extends TransportAnswer | Answer>(
    call: Call,
    signal: AbortSignal,
    onFailure: (error: unknown) => void,
    attempt: (identity: Identity) => Promise<T>,
  ): Promise<T> {
    const { credentials } = this.#options
    let mayBeUnknown = true
    for (let number = 1; ; number++) {
      const identity = credentials.fresh ?? (await unlessAborted(credentials.identity(), signal))
      const outcome = await attempt(identity).then(
        (answer) => ({ answer, error: refusal(answer) }),
        (error: unknown) => ({ answer: undefined, error }),
      )
      if (outcome.error === undefined && outcome.answer !== undefined) return outcome.answer
      signal.throwIfAborted()
      onFailure(outcome.error)
      if (mayBeUnknown && outcome.error instanceof ApiError && outcome.error.code === 401) {
        // Our token or certificate may have been replaced meanwhile; the request had no effect.
        mayBeUnknown = false
        if (await unlessAborted(credentials.reject(identity), signal)) continue
      }
      const pause = retryPause(call.method, number, outcome.error, call.headers?.['content-type'])
      if (pause === undefined) {
        if (outcome.answer !== undefined) return outcome.answer
        throw outcome.error
      }
      this.#options.logger.debug('request is repeated', {
        method: call.method,
        path: withoutQuery(call.path),
        pause,
        error: messageOf(outcome.error),
      })
      if (pause > 0) await this.#options.clock.sleep(pause, signal)
    }
  }

  async #send(call: Call, identity: Identity, signal: AbortSignal): Promise<TransportAnswer> {
    let path = this.#prefix + call.path
    for (let redirects = 0; ; redirects++) {
      const answer = await this.#options.transport.send({
        method: call.method,
        path,
        headers: {
          accept: 'application/json',
          'user-agent': this.#options.userAgent,
          ...identity.headers,
          ...call.headers,
        },
        ...(call.body !== undefined && { body: call.body }),
        signal,
      })
      if (answer.headers['warning'] !== undefined) this.#warn(answer.headers['warning'])
      const next =
        call.method === 'GET' && redirects < mostRedirects ? this.#redirect(answer, path) : undefined
      if (next === undefined) return decoded(answer)
      answer.body.destroy()
      path = next
    }
  }

  /**
   * Where an answer sends us, if that is the same server: our credentials are for no other. Only reading
   * follows: of a write that is redirected nobody knows whether the first address acted on it.
   */
  #redirect(answer: TransportAnswer, path: string): string | undefined {
    const location = answer.headers['location']
    if (location === undefined || !redirections.has(answer.status)) return undefined
    const origin = new URL(this.#options.server).origin
    if (!URL.canParse(location, origin + path)) return undefined
    const target = new URL(location, origin + path)
    return target.origin === origin ? target.pathname + target.search : undefined
  }

  /** Each warning once: deprecated versions would otherwise fill the log. */
  #warn(warning: string): void {
    if (this.#warned.has(warning) || this.#warned.size >= 256) return
    this.#warned.add(warning)
    this.#options.logger.debug('the API server warns', { warning })
  }
}

const redirections: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

/** The error a complete answer stands for. */
function refusal(answer: TransportAnswer | Answer): ApiError | undefined {
  if (answer.status < 400 || !Buffer.isBuffer(answer.body)) return undefined
  return apiErrorFromAnswer(answer.status, answer.headers, answer.body)
}

/** Queries may hold what is nobody's business, such as commands. */
function withoutQuery(path: string): string {
  const at = path.indexOf('?')
  return at < 0 ? path : path.slice(0, at)
}
