import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { compareLines } from './line-pattern.ts'
import { type Answer, runShell, type Surroundings, textLines } from './shell.ts'
import type { Step } from './transcript-file.ts'

export interface Preparation {
  /** The first command that begins like this, or matches this, waits until `shell` has been run. */
  readonly before: string | RegExp
  readonly shell: string
  /** Run beside the command, not before it. */
  readonly meanwhile?: boolean
}

/** A difference that is right as it is. */
export interface AcceptedDifference {
  /** Which commands of the topic; left out: all. */
  readonly command?: RegExp
  /** A recorded line that need not be printed. */
  readonly missing?: RegExp
  /** A line that may be printed besides. */
  readonly extra?: RegExp
  /** Whether another exit code than the recorded one is fine too. */
  readonly exit?: boolean
  readonly because: string
}

export interface Topic {
  /** Commands whose recording rests on things that were done out of sight. */
  readonly preparations?: readonly Preparation[]
  readonly accepted?: readonly AcceptedDifference[]
  /** Commands that are not run at all. */
  readonly skipped?: readonly { readonly command: RegExp; readonly because: string }[]
}

/** A command that behaved otherwise than recorded. */
export interface Deviation {
  readonly command: string
  /** One line per difference: `-` recorded, `+` seen. */
  readonly lines: readonly string[]
}

/** Runs the commands of a recorded session one after the other and answers with those that deviate. */
export async function replayTranscript(
  steps: readonly Step[],
  topic: Topic,
  surroundings: Surroundings,
): Promise<readonly Deviation[]> {
  const deviations: Deviation[] = []
  const pending = [...(topic.preparations ?? [])]
  for (const step of steps.map((each) => inFull(each, steps))) {
    if (step.does === 'write') {
      const path = join(surroundings.folder, step.file)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, step.content)
      continue
    }
    if (topic.skipped?.some(({ command }) => command.test(step.command))) continue
    surroundings.onCommand?.(step.command)
    const beside = await prepare(pending, step.command, surroundings)
    const seen = await runShell(step.command, step.input, surroundings)
    await beside
    const lines = differencesOf(step, seen, topic.accepted ?? [])
    if (lines.length > 0) deviations.push({ command: step.command, lines })
  }
  return deviations
}

/** A recording that ends in `(as above)` goes on as the one before that begins alike. */
function inFull(step: Step, steps: readonly Step[]): Step {
  if (step.does !== 'run') return step
  const { stdout } = step.printed
  const begins = stdout.indexOf('(as above)')
  if (begins < 0) return step
  const above = steps.find(
    (other) =>
      other !== step &&
      other.does === 'run' &&
      stdout.slice(0, begins).every((line, index) => other.printed.stdout[index] === line),
  )
  if (above?.does !== 'run') return step
  return { ...step, printed: { ...step.printed, stdout: above.printed.stdout } }
}

async function prepare(
  pending: Preparation[],
  command: string,
  surroundings: Surroundings,
): Promise<unknown> {
  const beside: Promise<unknown>[] = []
  for (;;) {
    const index = pending.findIndex(({ before }) =>
      typeof before === 'string' ? command.startsWith(before) : before.test(command),
    )
    const [found] = index < 0 ? [] : pending.splice(index, 1)
    if (found === undefined) return { beside: Promise.all(beside) }
    const run = runShell(found.shell, '', surroundings).then(({ exit, stderr }) => {
      if (exit !== 0) throw new Error(`the preparation ${found.shell} ended with ${exit}: ${stderr}`)
    })
    if (found.meanwhile === true) beside.push(run)
    else await run
  }
}

function differencesOf(
  step: Extract<Step, { does: 'run' }>,
  seen: Answer,
  accepted: readonly AcceptedDifference[],
): readonly string[] {
  const here = accepted.filter(({ command }) => command === undefined || command.test(step.command))
  const out = compareLines(linesFrom(step.printed.stdout), linesFrom(textLines(seen.stdout)))
  const errors = compareLines(linesFrom(step.printed.stderr), linesFrom(textLines(seen.stderr)))
  const missing = [...out.missing, ...errors.missing]
  const extra = [...out.extra, ...errors.extra]
  const exits = seen.exit === step.printed.exit || here.some(({ exit }) => exit === true)
  return [
    ...missing.filter((line) => !here.some((one) => one.missing?.test(line))).map((line) => `- ${line}`),
    ...extra.filter((line) => !here.some((one) => one.extra?.test(line))).map((line) => `+ ${line}`),
    ...(exits ? [] : [`exit ${seen.exit} instead of ${step.printed.exit}`]),
  ]
}

/** Words that a newer kubectl adds on its own. */
function linesFrom(lines: readonly string[]): readonly string[] {
  return lines.map((line) =>
    line
      .replace(/ (force )?deleted from \S+ namespace$/, ' $1deleted')
      .replace(/ spec\.\w+\{[^}]*\}: /, ' ')
      .replace(/^ *creationTimestamp: null$/, ''),
  )
}
