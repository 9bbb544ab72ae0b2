import { Duplex } from 'node:stream'
import { type Clock, deferred } from '@outrigger/foundation'
import { RuntimeError } from '@outrigger/kubelet/runtime'
import { dialSpdy, type SpdyStream } from './spdy-connection.ts'

/**
 * How long to wait for a refusal before a connection counts as made, in milliseconds. The runtime reports
 * failures only; on the loopback of a sandbox they come within a few milliseconds.
 */
const refusalGrace = 40

/**
 * Opens one connection to a port at the address a runtime answered with.
 *
 * @throws RuntimeError when nothing listens. A failure that comes later destroys the stream with that error.
 */
export async function openPortStream(
  url: string,
  port: number,
  options: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<Duplex> {
  const connection = await dialSpdy(url, { protocol: 'portforward.k8s.io', ...options })
  const headers = { port: String(port), requestid: '0' }
  const errors = connection.open({ streamtype: 'error', ...headers })
  errors.end()
  const data = connection.open({ streamtype: 'data', ...headers })

  const failure = failureOf(errors)
  const isHeard = deferred()
  const tunnel = duplexOver(data, {
    onData: isHeard.resolve,
    onClose: () => {
      options.signal.removeEventListener('abort', onAbort)
      connection.close()
    },
  })
  const onAbort = () => tunnel.destroy(options.signal.reason as Error)
  options.signal.addEventListener('abort', onAbort, { once: true })
  connection.onEnd = () => {
    if (!tunnel.readableEnded) tunnel.push(null)
  }
  void failure.then((error) => error && tunnel.destroy(error))
  const grace = options.clock.sleep(refusalGrace, options.signal)
  const early = await Promise.race([failure, isHeard.promise, grace])
  grace.catch(() => {})
  if (early instanceof RuntimeError) {
    tunnel.on('error', () => {})
    tunnel.destroy()
    throw early
  }
  return tunnel
}

/** What the runtime says went wrong; undefined when the connection ends well. */
async function failureOf(stream: SpdyStream): Promise<RuntimeError | undefined> {
  let text = ''
  for await (const chunk of stream) if (text.length < 4096) text += String(chunk)
  return text === '' ? undefined : new RuntimeError('unknown', text.trim())
}

function duplexOver(
  stream: SpdyStream,
  on: { readonly onData: () => void; readonly onClose: () => void },
): Duplex {
  const tunnel = new Duplex({
    allowHalfOpen: true,
    read: () => void stream.resume(),
    write: (chunk: Buffer, encoding, done) => void stream.write(chunk, encoding, (error) => done(error)),
    final: (done) => void stream.end(() => done()),
    destroy: (error, done) => {
      on.onClose()
      done(error)
    },
  })
  stream.on('data', (chunk: Buffer) => {
    on.onData()
    if (!tunnel.push(chunk)) stream.pause()
  })
  stream.on('end', () => {
    if (!tunnel.readableEnded && !tunnel.destroyed) tunnel.push(null)
  })
  stream.on('error', (error) => tunnel.destroy(error))
  return tunnel
}
