import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'

/** The program as a user starts it. */
export const program = resolve(import.meta.dirname, '../../apps/outrigger/bin/outrigger.mjs')

export interface OutriggerProcess {
  readonly child: ChildProcess
  /** Standard output and error so far. */
  readonly output: () => string
  /** Resolves once the output matches. Rejects with the output when the process ends first or time is up. */
  saw(pattern: RegExp, timeout?: number): Promise<RegExpMatchArray>
  /** Its exit code, once it ends; null when a signal ended it. */
  readonly ended: Promise<number | null>
  /** Asks it to end (SIGTERM) and waits; kills after `timeout` milliseconds. Answers with its exit code. */
  stop(timeout?: number): Promise<number | null>
  /** kill -9. */
  kill(): Promise<void>
}

/** Starts `outrigger ARGS`. */
export function startOutrigger(args: readonly string[], environment: NodeJS.ProcessEnv): OutriggerProcess {
  const child = spawn(process.execPath, [program, ...args], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let text = ''
  const listeners = new Set<() => void>()
  const hear = (chunk: Buffer) => {
    text += chunk.toString('utf8')
    for (const listener of listeners) listener()
  }
  child.stdout.on('data', hear)
  child.stderr.on('data', hear)
  const ended = once(child, 'exit').then(([code]) => {
    for (const listener of listeners) listener()
    return code as number | null
  })
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null

  return {
    child,
    ended,
    output: () => text,
    saw: (pattern, timeout = 60_000) =>
      new Promise((done, fail) => {
        const timer = setTimeout(
          () => settle(new Error(`nothing matched ${pattern} within ${timeout} ms:\n${text}`)),
          timeout,
        )
        const settle = (outcome: RegExpMatchArray | Error) => {
          clearTimeout(timer)
          listeners.delete(look)
          if (outcome instanceof Error) fail(outcome)
          else done(outcome)
        }
        const look = () => {
          const match = text.match(pattern)
          if (match !== null) settle(match)
          else if (hasEnded())
            settle(new Error(`outrigger ${args.join(' ')} ended before ${pattern}:\n${text}`))
        }
        listeners.add(look)
        look()
      }),
    async stop(timeout = 30_000) {
      if (!hasEnded()) child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
      const code = await ended
      clearTimeout(timer)
      return code
    },
    async kill() {
      if (!hasEnded()) child.kill('SIGKILL')
      await ended
    },
  }
}
