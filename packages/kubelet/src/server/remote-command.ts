import type { Readable, Writable } from 'node:stream'
import { messageOf } from '@outrigger/foundation'
import type { ExecSession } from '../runtime.ts'
import { exitStatus, failureStatus } from './exec-status.ts'

/** The far end of an exec or attach, over whichever protocol. Unrequested streams are undefined. */
export interface RemoteEnd {
  readonly stdin: Readable | undefined
  readonly stdout: Writable | undefined
  readonly stderr: Writable | undefined
  onResize(listener: (width: number, height: number) => void): void
  /** Sends the final Status and ends the connection. */
  finish(status: object): Promise<void>
  /** Resolves when the connection is over. */
  readonly closed: Promise<void>
}

/** Joins a remote end with a session until one of them ends. */
export async function joinSession(
  remote: RemoteEnd,
  open: (signal: AbortSignal) => Promise<ExecSession>,
): Promise<void> {
  const gone = new AbortController()
  void remote.closed.then(() => gone.abort(new Error('the client has gone')))
  let session: ExecSession
  try {
    session = await open(gone.signal)
  } catch (error) {
    await remote.finish(failureStatus(messageOf(error)))
    return
  }
  gone.signal.addEventListener('abort', () => session.close(), { once: true })
  if (gone.signal.aborted) session.close()
  remote.onResize((width, height) => session.resize(width, height))
  if (remote.stdin !== undefined && session.stdin !== undefined) {
    session.stdin.on('error', () => remote.stdin?.resume())
    remote.stdin.on('error', () => session.stdin?.end())
    remote.stdin.pipe(session.stdin)
  }
  const outputs = [pump(session.stdout, remote.stdout), pump(session.stderr, remote.stderr)]
  let status: object
  try {
    const exitCode = await session.exited
    await Promise.all(outputs)
    status = exitStatus(exitCode)
  } catch (error) {
    status = failureStatus(messageOf(error))
  }
  if (!gone.signal.aborted) await remote.finish(status)
}

/** Copies to the end; resolves when all was handed over or the reader has gone. */
function pump(from: Readable | undefined, to: Writable | undefined): Promise<void> {
  if (from === undefined) return Promise.resolve()
  if (to === undefined) {
    from.resume()
    return Promise.resolve()
  }
  return new Promise((resolve) => {
    to.once('error', () => resolve())
    to.once('close', () => resolve())
    from.once('error', () => resolve())
    from.once('end', () => resolve())
    from.once('close', () => resolve())
    from.pipe(to, { end: false })
  })
}
