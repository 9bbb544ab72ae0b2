import { stat } from 'node:fs/promises'
import { connect as connectHttp2 } from 'node:http2'
import { connect } from 'node:net'
import { type Clock, DeadlineExceeded, withDeadline } from '@outrigger/foundation'

/**
 * Resolves when a server of gRPC answers at the unix socket. Rejects within `milliseconds` with the reason in words: a
 * client of gRPC would go on trying, and with it whoever asked.
 */
export async function probeSocket(
  path: string,
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal },
  milliseconds = 3_000,
): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? new Error('there is no such file', { cause: error }) : error
  })
  if (!found.isSocket()) throw new Error('it is not a socket')
  try {
    await withDeadline(clock, milliseconds, 'greeting', (until) => greet(path, until), signal)
  } catch (error) {
    throw error instanceof DeadlineExceeded
      ? new Error('somebody listens there, but does not answer', { cause: error })
      : error
  }
}

/** HTTP/2 servers speak first: their settings, whatever they may be asked. */
function greet(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2('http://localhost', { createConnection: () => connect({ path }) })
    const onAbort = () => session.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    session.once('close', () => {
      signal.removeEventListener('abort', onAbort)
      reject(new Error('it was closed at once'))
    })
    session.once('remoteSettings', () => {
      resolve()
      session.destroy()
    })
    session.once('error', (error) => reject(inWords(error)))
  })
}

function inWords(error: Error): Error {
  const code = codeOf(error)
  if (code === 'ECONNREFUSED') return new Error('nobody listens at it any more', { cause: error })
  return code?.startsWith('ERR_HTTP2') ? new Error('it does not speak gRPC', { cause: error }) : error
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
