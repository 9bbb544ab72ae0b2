import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { compareLines, patternOf, plain } from './line-pattern.ts'
import { type Command, type PodLife, type Story, StoryTeller } from './pod-life.ts'
import { runShell, type Surroundings, textLines } from './shell.ts'

/**
 * Lives a recorded life again in a namespace of its own: makes the same objects, runs the same commands, as long
 * after each other as recorded and not before the containers have come as far as they had.
 *
 * Answers with what went otherwise: `-` recorded, `+` seen.
 */
export async function replayPodLife(life: PodLife, surroundings: Surroundings): Promise<readonly string[]> {
  const { folder } = surroundings
  for (const [index, manifest] of life.manifests.entries())
    await writeFile(join(folder, `${index + 1}.yaml`), manifest)
  const watch = watchStory(surroundings)
  const runs: Promise<readonly string[]>[] = []
  try {
    let time = 0
    for (const command of life.commands) {
      await sleep((command.at - time) * 1000)
      await hasComeTo(command.after, watch)
      time = command.at
      const run = replayCommand(command, surroundings)
      runs.push(run)
      if (!command.command.includes('logs -f')) await run
    }
    await hasComeTo(life.story, watch)
    await Promise.all(runs)
  } finally {
    await watch.stop()
  }
  return [...(await Promise.all(runs)).flat(), ...storyDifferences(life.story, watch.tell())]
}

/** Milliseconds to wait for what should have happened by now. */
const patience = 40_000

async function hasComeTo(story: Story, watch: { tell(): Story }): Promise<void> {
  const milestones = [...story.phases, ...story.states].filter((line) =>
    / (running|Ready True|gone)$/.test(line),
  )
  const patterns = milestones.map((line) => [patternOf(line), ...endsOf(line)])
  for (let waited = 0; waited < patience; waited += 100) {
    const seen = watch.tell()
    const lines = [...seen.phases, ...seen.states]
    if (patterns.every((any) => lines.some((line) => any.some((pattern) => pattern.test(line))))) return
    await sleep(100)
  }
}

/** What shows that a milestone was passed, though nobody saw it. */
function endsOf(milestone: string): readonly RegExp[] {
  const [, run] = milestone.match(/^(.*: #\d+) running$/) ?? []
  const [, pod] = milestone.match(/^(.*): Ready True$/) ?? []
  const ends = [run && `${run} terminated`, pod && `${pod}: Succeeded`, pod && `${pod}: Failed`]
  return ends.flatMap((end) => (end ? [new RegExp(patternOf(end).source.replace(/\$$/, '( |$)'))] : []))
}

/** States that two statuses close to each other may show as one, or that come and go with the moment of asking. */
const fleeting =
  /waiting (CrashLoopBackOff|ErrImagePull|ImagePullBackOff|RunContainerError|CreateContainerConfigError)$|terminated /

function storyDifferences(recorded: Story, seen: Story): readonly string[] {
  const owners = new Set([...recorded.states, ...recorded.phases].map(ownerOf))
  const lasting = (lines: readonly string[], owner: string) =>
    lines.filter((line) => patternOf(owner).test(ownerOf(line)) && !fleeting.test(line))
  return [
    ...[...owners]
      .flatMap((owner) => [
        ...difference(lasting(recorded.states, owner), lasting(seen.states, owner)),
        ...difference(lasting(recorded.phases, owner).toSorted(), lasting(seen.phases, owner).toSorted()),
      ])
      .filter((line) => !isBrief(line, recorded, seen)),
    ...difference(recorded.ends, seen.ends),
    ...difference(recorded.events, seen.events),
  ]
}

/** What ended by itself may have been seen while it ran, or not: statuses are written when they can be. */
function isBrief(difference: string, recorded: Story, seen: Story): boolean {
  const both = [recorded, seen]
  const [, run] = difference.match(/^[-+] (.*: #\d+) running$/) ?? []
  if (run !== undefined) {
    const ended = new RegExp(patternOf(`${run} terminated`).source.replace(/\$$/, ' '))
    return both.every(({ states }) => states.some((state) => ended.test(plain(state))))
  }
  const [, pod] = difference.match(/^[-+] (.*): Ready True$/) ?? []
  if (pod === undefined) return false
  const own = new RegExp(patternOf(`${pod}/`).source.replace(/\$$/, ''))
  return both.every(({ ends }) =>
    ends.filter((end) => own.test(end)).every((end) => / terminated /.test(end)),
  )
}

const ownerOf = (line: string): string => line.slice(0, line.indexOf(':'))

async function replayCommand(
  { command, stdout, stderr, exit }: Command,
  surroundings: Surroundings,
): Promise<readonly string[]> {
  const text = command.replace(/<manifest (\d+)>/g, '$1.yaml')
  surroundings.onCommand?.(text)
  const seen = await runShell(text, '', surroundings)
  // What tables of pods show is compared where it is watched, without the moment of asking.
  const out = / get pods? /.test(`${command} `) ? [] : difference(stdout.map(aged), textLines(seen.stdout))
  const errors = difference(stderr.map(aged), textLines(seen.stderr))
  const code = seen.exit === exit ? [] : [`exit ${seen.exit} instead of ${exit}`]
  return [...out, ...errors, ...code].map((line) => `$ ${command.slice(0, 60)}: ${line}`)
}

/** These recordings left the ages in tables as they were, and kubectl's newer words. */
function aged(line: string): string {
  return line.replace(/ deleted from \S+ namespace$/, ' deleted').replaceAll(/\b[0-9]+m?[0-9]*s\b/g, '<age>')
}

function difference(recorded: readonly string[], seen: readonly string[]): readonly string[] {
  const { missing, extra } = compareLines(recorded, seen)
  return [...missing.map((line) => `- ${line}`), ...extra.map((line) => `+ ${line}`)]
}

/** Follows the pods and events of the namespace as a user would, with kubectl. */
function watchStory(surroundings: Surroundings): { tell(): Story; stop(): Promise<void> } {
  const teller = new StoryTeller()
  const pods = follow('pods', surroundings, ({ type, object }) => {
    const { metadata, status } = object
    if (status !== undefined) teller.sawPod(metadata.name, status)
    if (type === 'DELETED') teller.sawEnd(metadata.name)
  })
  const events = follow('events', surroundings, ({ type, object }) => {
    const { involvedObject, ...event } = object
    if (type === 'DELETED' || involvedObject === undefined) return
    const { kind, name, fieldPath } = involvedObject
    teller.sawEvent({ ...event, reason: event.reason ?? '', object: `${kind}/${name}`, fieldPath })
  })
  return {
    tell: () => teller.tell(),
    stop: async () => {
      await Promise.all([pods, events].map(end))
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGTERM')
  await ended
}

interface Watched {
  readonly type: string
  readonly object: {
    readonly metadata: { readonly name: string }
    readonly status?: Parameters<StoryTeller['sawPod']>[1]
    readonly type?: string
    readonly reason?: string
    readonly message?: string
    readonly involvedObject?: { readonly kind: string; readonly name: string; readonly fieldPath?: string }
  }
}

function follow(
  resource: string,
  { folder, kubeconfig, environment }: Surroundings,
  deliver: (event: Watched) => void,
): ChildProcess {
  const child = spawn('kubectl', ['get', resource, '--watch', '--output-watch-events', '-o', 'json'], {
    env: { ...environment, HOME: folder, KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line !== '') deliver(JSON.parse(line) as Watched)
  })
  return child
}
