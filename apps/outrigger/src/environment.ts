import { homedir, hostname, userInfo } from 'node:os'
import { resolve } from 'node:path'
import { buffer as readBytes } from 'node:stream/consumers'

/** What the program knows of where it runs. Read once, here, and handed on. */
export interface Environment {
  /** Arguments without `node` and the script. */
  readonly arguments: readonly string[]
  readonly variables: Readonly<Record<string, string | undefined>>
  readonly homeDirectory: string
  readonly workingDirectory: string
  readonly hostName: string
  readonly platform: string
  readonly isRoot: boolean
  readonly processId: number
  /** Whether a person is looking at standard output. */
  readonly isTerminal: boolean
  /** How many characters a line of that person's terminal holds; `undefined` where nobody knows. */
  readonly columns: number | undefined
  /** Everything on standard input. */
  readInput(): Promise<Uint8Array>
  writeOut(text: string): void
  writeError(text: string): void
  setExitCode(code: number): void
}

export function readEnvironment(): Environment {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endWithoutReader)
  return {
    arguments: process.argv.slice(2),
    variables: process.env,
    homeDirectory: homedir(),
    workingDirectory: process.cwd(),
    hostName: hostname(),
    platform: process.platform,
    isRoot: userInfo().uid === 0,
    processId: process.pid,
    isTerminal: process.stdout.isTTY === true,
    columns: process.stdout.columns,
    readInput: () => readBytes(process.stdin),
    writeOut: (text) => void process.stdout.write(text),
    writeError: (text) => void process.stderr.write(text),
    setExitCode: (code) => {
      process.exitCode = code
    },
  }
}

/** What a shell says of a process that SIGPIPE ended; Node.js ignores the signal. */
const brokenPipe = 141

/**
 * Ends a command whose words nobody can read any more: quietly when the reader has gone, as in `| head -1`. What serves
 * others goes on without a log.
 */
function endWithoutReader(error: NodeJS.ErrnoException): void {
  if (isServing) return
  if (error.code === 'EPIPE' || error.code === 'EIO') process.exit(brokenPipe)
  process.stderr.write(`outrigger: the output cannot be written: ${error.message}\n`, () => process.exit(1))
}

/** Whether this process was asked to run until it is told to stop. */
let isServing = false

/** An absolute path, from where the program was started. */
export function absolutePath(environment: Environment, path: string): string {
  return resolve(environment.workingDirectory, path)
}

/**
 * A signal that aborts on SIGINT or SIGTERM. A second one ends the process at once, so that nobody is
 * held by a shutdown that hangs.
 */
export function stopSignal(): AbortSignal {
  isServing = true
  const controller = new AbortController()
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(130)
    controller.abort(new Error('asked to stop'))
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return controller.signal
}

/** Calls back on every SIGHUP, the usual request to look at one's files again. Returns a function that ends it. */
export function onHangUp(listener: () => void): () => void {
  process.on('SIGHUP', listener)
  return () => void process.off('SIGHUP', listener)
}

/** Whether a process with this number lives, whoever it belongs to. */
export function processExists(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
