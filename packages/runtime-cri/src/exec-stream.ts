import { PassThrough, type Readable, Writable } from 'node:stream'
import { type Clock, deferred } from '@outrigger/foundation'
import { type ExecSession, RuntimeError, type StreamRequest } from '@outrigger/kubelet/runtime'
import { dialSpdy, type SpdyStream } from './spdy-connection.ts'

/** The protocol in which the error stream carries a `Status` with the exit code. */
const protocol = 'v4.channel.k8s.io'

/**
 * Opens the streams of a command or attachment at the address a runtime answered with.
 *
 * Caveats: all streams share one connection, so whoever asks for a stream must read it. With a terminal
 * there is no separate stderr.
 */
export async function openExecStream(
  url: string,
  wanted: StreamRequest,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<ExecSession> {
  const connection = await dialSpdy(url, { protocol, clock, signal })
  const open = (streamtype: string) => connection.open({ streamtype })
  const errors = open('error')
  errors.end()
  const stdin = wanted.stdin ? open('stdin') : undefined
  const stdout = wanted.stdout ? open('stdout') : undefined
  const stderr = wanted.stderr && !wanted.tty ? open('stderr') : undefined
  const sizes = wanted.tty ? open('resize') : undefined
  stdout?.end()
  stderr?.end()

  const outcome = exitOf(errors)
  const isOver = deferred()
  connection.onEnd = () => isOver.resolve()
  const close = () => connection.close()
  signal.addEventListener('abort', close, { once: true })
  const outputs = [stdout, stderr].filter((stream) => stream !== undefined)
  const session: ExecSession = {
    stdin: stdin && inputOf(stdin),
    stdout: stdout && outputOf(stdout),
    stderr: stderr && outputOf(stderr),
    resize: (width, height) => {
      if (sizes?.writable) sizes.write(`${JSON.stringify({ Width: width, Height: height })}\n`)
    },
    exited: outcome,
    close,
  }
  // The status may overtake the last output; the connection stays until both have come.
  const finished = Promise.allSettled([outcome, ...outputs.map(ended)])
  void Promise.race([finished, isOver.promise]).then(() => {
    signal.removeEventListener('abort', close)
    connection.close()
  })
  outcome.catch(() => {})
  return session
}

function ended(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('end', resolve)
    stream.once('close', resolve)
  })
}

/** A stream that only reads, so that its end is not mistaken for a half-open pair. */
function outputOf(stream: SpdyStream): Readable {
  return stream.pipe(new PassThrough({ highWaterMark: 64 * 1024 }))
}

function inputOf(stream: SpdyStream): Writable {
  return new Writable({
    write: (chunk: Buffer, encoding, done) => void stream.write(chunk, encoding, () => done()),
    final: (done) => void stream.end(() => done()),
  })
}

/** What the runtime puts before its reason; whoever asked says the same in words of its own. */
const ownWords = /^Internal error occurred: error executing command in container: /

interface StatusMessage {
  readonly status?: string
  readonly reason?: string
  readonly message?: string
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] }
}

/** Reads the `Status` of the error stream: an exit code, or why the command could not run. */
async function exitOf(stream: Readable): Promise<number> {
  let text = ''
  for await (const chunk of stream) if (text.length < 64 * 1024) text += String(chunk)
  if (text === '') throw new RuntimeError('unknown', 'the connection to the container was lost')
  let status: StatusMessage
  try {
    status = JSON.parse(text) as StatusMessage
  } catch {
    throw new RuntimeError('unknown', text.slice(0, 1024))
  }
  if (status.status === 'Success') return 0
  const code = status.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message
  if (status.reason === 'NonZeroExitCode' && code !== undefined) return Number(code)
  throw new RuntimeError(
    'start-failed',
    (status.message ?? 'the command could not be run').replace(ownWords, ''),
  )
}
