import {
  aborted,
  type Clock,
  deferred,
  type Logger,
  messageOf,
  type Random,
  type Runnable,
  SystemClock,
  SystemRandom,
} from '@outrigger/foundation'
import type { Command } from 'commander'
import { createLogger } from '../create-logger.ts'
import { type Environment, stopSignal } from '../environment.ts'
import { type LogSettings, parseChoice, parseNumber } from '../settings.ts'
import { Stages } from '../stages.ts'

/** What every long-running command is given. */
export interface Service {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Starts a part; resolves when it is ready. */
  start<T>(runnable: Runnable, ready?: Promise<T>): Promise<T | undefined>
  /** Runs at the end, after all parts have ended, last added first. */
  atEnd(cleanUp: () => Promise<unknown>): void
  /** Asks for everything to be stopped and begun again in this process. */
  restart(): void
  /** Whether the end that is coming is a restart's. */
  readonly isRestarting: boolean
}

/** The flags of every long-running command. */
export function withLogFlags(command: Command): Command {
  return command
    .option(
      '--logging-format <format>',
      'text or json',
      parseChoice('--logging-format', ['text', 'json']),
      'text',
    )
    .option(
      '-v, --verbosity <level>',
      'how much to log; 4 and more says why nothing happened',
      parseNumber('-v', 0, 10),
      0,
    )
}

/**
 * Runs a long-running command: `begin` starts its parts, then it goes on until it is asked to stop or a
 * part fails. However it ends, parts are stopped in reverse order and clean-up runs. A restart is the
 * same, and then `begin` again.
 */
export async function serve(
  settings: LogSettings,
  environment: Environment,
  begin: (service: Service) => Promise<void>,
): Promise<void> {
  const clock = new SystemClock()
  const logger = createLogger({
    clock,
    processId: environment.processId,
    format: settings.loggingFormat,
    verbosity: settings.verbosity,
    write: environment.writeError,
  })
  const asked = stopSignal()
  const stopped = aborted(asked)
  const base = { clock, random: new SystemRandom(), logger }
  while (!asked.aborted) await runRound(base, asked, stopped, begin)
}

async function runRound(
  base: Pick<Service, 'clock' | 'random' | 'logger'>,
  asked: AbortSignal,
  stopped: Promise<void>,
  begin: (service: Service) => Promise<void>,
): Promise<void> {
  const stages = new Stages()
  const cleanUps: (() => Promise<unknown>)[] = []
  const restart = deferred()
  let isRestarting = false
  const beginning = begin({
    ...base,
    signal: asked,
    start: (runnable, ready) => stages.start(runnable, ready),
    atEnd: (cleanUp) => cleanUps.push(cleanUp),
    restart: () => {
      isRestarting = true
      restart.resolve()
    },
    get isRestarting() {
      return isRestarting
    },
  })
  // Heard of below, also when it fails only after everything has been asked to stop.
  beginning.catch(() => {})
  try {
    await Promise.race([beginning, stopped, stages.failure])
    await Promise.race([restart.promise, stopped, stages.failure])
  } finally {
    await stages.stop()
    await beginning.catch(() => {})
    for (const cleanUp of cleanUps.reverse()) {
      // One that fails must not keep the others from theirs: containers and locks would be left behind.
      await cleanUp().catch((error: unknown) =>
        base.logger.error('could not clean up', { error: messageOf(error) }),
      )
    }
  }
}
