import type { Duplex } from 'node:stream'
import { type Clock, DeadlineExceeded, withDeadline } from '@outrigger/foundation'
import type { RemoteEnd } from './remote-command.ts'
import { SpdyConnection, type SpdyStream } from './spdy-connection.ts'
import { readResize } from './websocket-command.ts'

const openDeadline = 30_000

/**
 * Exec and attach over SPDY: the client opens one stream for each part it wants, named by `streamtype`.
 * @throws DeadlineExceeded when it does not open all it asked for
 */
export async function spdyEnd(
  transport: Duplex,
  wants: {
    readonly stdin: boolean
    readonly stdout: boolean
    readonly stderr: boolean
    readonly tty: boolean
  },
  clock: Clock,
): Promise<RemoteEnd> {
  const expected = new Set(['error', ...(wants.tty ? ['resize'] : [])])
  for (const part of ['stdin', 'stdout', 'stderr'] as const) if (wants[part]) expected.add(part)
  const streams = new Map<string, SpdyStream>()
  let complete = () => {}
  const all = new Promise<void>((resolve) => {
    complete = resolve
  })
  const connection = new SpdyConnection(transport, (stream) => {
    streams.set(stream.headers.get('streamtype') ?? '', stream)
    if ([...expected].every((name) => streams.has(name))) complete()
  })
  const gone = connection.closed.then(() => Promise.reject(new DeadlineExceeded('opening streams', 0)))
  gone.catch(() => {})
  await withDeadline(clock, openDeadline, 'opening streams', () => Promise.race([all, gone]))
  return {
    stdin: wants.stdin ? streams.get('stdin') : undefined,
    stdout: wants.stdout ? streams.get('stdout') : undefined,
    stderr: wants.stderr ? streams.get('stderr') : undefined,
    onResize: (listener) =>
      void streams.get('resize')?.on('data', (data: Buffer) => eachJson(data, listener)),
    finish: async (status) => {
      const ended = ['stdout', 'stderr', 'error'].map((name) => {
        const stream = streams.get(name)
        if (stream === undefined) return Promise.resolve()
        return new Promise<void>((resolve) => {
          stream.once('error', () => resolve())
          if (name === 'error') stream.end(JSON.stringify(status), () => resolve())
          else stream.end(() => resolve())
        })
      })
      await Promise.all(ended)
      // The client reads the status and hangs up; one that does not is cut off.
      await withDeadline(clock, 5_000, 'hanging up', () => connection.closed).catch(() => connection.close())
    },
    closed: connection.closed,
  }
}

/** Sizes come as JSON objects, one a line, several in one frame at times. */
function eachJson(data: Buffer, listener: (width: number, height: number) => void): void {
  for (const line of data.toString('utf8').split('\n'))
    if (line !== '') readResize(Buffer.from(line), listener)
}
