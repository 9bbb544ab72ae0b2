import { stat } from 'node:fs/promises'
import { connect } from 'node:net'
import { type Clock, withDeadline } from '@outrigger/foundation'

/**
 * Resolves when somebody listens at the unix socket. Rejects within `milliseconds` with the reason in words: a
 * client of gRPC would go on trying, and wait with it whoever asked.
 */
export async function probeSocket(
  path: string,
  { clock, signal }: { readonly clock: Clock; readonly signal?: AbortSignal },
  milliseconds = 2_000,
): Promise<void> {
  const found = await stat(path).catch((error: unknown) => {
    throw isCode(error, 'ENOENT') ? new Error('there is no such file', { cause: error }) : error
  })
  if (!found.isSocket()) throw new Error('it is not a socket')
  await withDeadline(clock, milliseconds, 'connecting', (until) => dial(path, until), signal)
}

function dial(path: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path })
    const onAbort = () => socket.destroy()
    signal.addEventListener('abort', onAbort, { once: true })
    socket.once('close', () => signal.removeEventListener('abort', onAbort))
    socket.once('connect', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', (error) =>
      reject(
        isCode(error, 'ECONNREFUSED') ? new Error('nobody listens at it any more', { cause: error }) : error,
      ),
    )
  })
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
