import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Reply } from '../registry/api-request.ts'
import { StatusError } from '../registry/status-error.ts'
import type { EventSink } from '../registry/watch-objects.ts'

export type AnyRequest = IncomingMessage | Http2ServerRequest
export type AnyResponse = ServerResponse | Http2ServerResponse

/** The largest body a client may send. */
export const maxBodyBytes = 3 * 1024 * 1024

/** The whole body. @throws StatusError 413 */
export function readBody(request: AnyRequest, signal: AbortSignal): Promise<Buffer> {
  const { method } = request
  if (method === 'GET' || method === 'HEAD') return Promise.resolve(Buffer.alloc(0))
  const announced = Number(request.headers['content-length'] ?? 0)
  if (announced > maxBodyBytes) return Promise.reject(tooLarge())
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const stop = (error: unknown) => {
      request.removeListener('data', onData)
      request.resume()
      reject(error)
    }
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > maxBodyBytes) return stop(tooLarge())
      chunks.push(chunk)
    }
    const onAbort = () => stop(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    request.on('data', onData)
    request.once('error', stop)
    request.once('end', () => {
      signal.removeEventListener('abort', onAbort)
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks))
    })
  })
}

const tooLarge = () =>
  new StatusError({
    code: 413,
    reason: 'RequestEntityTooLarge',
    message: `Request entity too large: limit is ${maxBodyBytes}`,
  })

/** Sends a whole answer. Warnings become one header each. */
export function send(response: AnyResponse, answer: Reply, warnings: ReadonlySet<string>): void {
  if (response.headersSent || response.destroyed) return
  const { body } = answer
  const bytes =
    typeof body === 'string'
      ? Buffer.from(body)
      : Buffer.isBuffer(body)
        ? body
        : Buffer.concat(body.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)))
  const headers = headersOf(answer.headers, warnings)
  headers['content-length'] = bytes.length
  if (hasGone(response)) return
  const stream = 'stream' in response ? response.stream : undefined
  if (stream === undefined || isBodiless(answer.code) || response.req.method === 'HEAD') {
    ;(response as ServerResponse).writeHead(answer.code, headers)
    response.end(bytes)
  } else {
    // Past the layer that imitates HTTP/1, which checks every header once more.
    stream.respond({ ...headers, ':status': answer.code })
    stream.end(bytes)
  }
}

/** Whether the client took its stream back; answering it would throw. */
function hasGone(response: AnyResponse): boolean {
  if (response.destroyed) return true
  return (
    'stream' in response &&
    (response.stream === undefined || response.stream.destroyed || response.stream.closed)
  )
}

const isBodiless = (code: number) => code < 200 || code === 204 || code === 304

/** Begins a streamed answer; the client gets the headers even if there is nothing to tell yet. */
export function sendHead(
  response: AnyResponse,
  code: number,
  headers: Readonly<Record<string, string>>,
  warnings: ReadonlySet<string>,
): void {
  if (hasGone(response)) return
  const plain = response as ServerResponse
  plain.writeHead(code, headersOf(headers, warnings))
  plain.flushHeaders?.()
}

function headersOf(
  own: Reply['headers'],
  warnings: ReadonlySet<string>,
): Record<string, string | string[] | number> {
  const headers: Record<string, string | string[] | number> = { 'cache-control': 'no-cache, private' }
  for (const name in own) headers[name] = own[name] as string | string[]
  if (warnings.size > 0) headers['warning'] = [...warnings].map(warningHeader)
  return headers
}

/** 299 is "miscellaneous persistent warning"; the text is a quoted string. */
function warningHeader(text: string): string {
  const clean = text.replace(/[^\x20-\x7e]/g, ' ').replace(/["\\]/g, (character) => `\\${character}`)
  return `299 - "${clean}"`
}

/** More than this waiting in the socket counts as slow. */
const slowBytes = 1024 * 1024

/** Writes watch events into a response. `drainDeadline` cancels a wait that lasts too long. */
export function sinkOf(response: AnyResponse, setDeadline: (action: () => void) => () => void): EventSink {
  return {
    write(line) {
      ;(response as ServerResponse).write(line)
      return writableLength(response) < slowBytes
    },
    drained: () =>
      new Promise((resolve, reject) => {
        const finish = (error?: Error) => {
          cancel()
          response.removeListener('drain', onDrain)
          response.removeListener('close', onClose)
          if (error === undefined) resolve()
          else reject(error)
        }
        const onDrain = () => finish()
        const onClose = () => finish(new Error('the client went away'))
        const cancel = setDeadline(() => {
          response.destroy()
          finish(new Error('the client does not read'))
        })
        response.once('drain', onDrain)
        response.once('close', onClose)
      }),
  }
}

function writableLength(response: AnyResponse): number {
  return 'stream' in response && response.stream !== undefined
    ? response.stream.writableLength
    : (response as ServerResponse).writableLength
}
