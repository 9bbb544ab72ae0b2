import { changePolicies, outriggerResources, type SidecarSet, tracksOf } from '@outrigger/api'
import { UserError } from '@outrigger/foundation'
import { revisionNameOf } from '@outrigger/injection'
import { formatYaml } from '@outrigger/kube'
import type { Command } from 'commander'
import { type ClusterSession, withCluster } from '../cluster/cluster-session.ts'
import { managerAbsence } from '../cluster/manager-absence.ts'
import {
  readContents,
  readPicture,
  readPods,
  readRevisions,
  readSidecarSet,
} from '../cluster/read-cluster.ts'
import { type ConnectionSettings, withConnectionFlags } from '../connection.ts'
import type { Environment } from '../environment.ts'
import { countOf } from '../rendering/count.ts'
import { obeysCommands } from '../rendering/paint.ts'
import { formatProgressLine } from '../rendering/progress-bar.ts'
import { parseDuration } from '../rollout/parse-duration.ts'
import {
  formatHistory,
  historyOf,
  noHistory,
  recordedSpec,
  revisionToRestore,
} from '../rollout/revision-history.ts'
import {
  type RolloutProgress,
  rolloutProgress,
  withAbsence,
  withTracks,
  withWays,
} from '../rollout/rollout-progress.ts'
import { judgeRollout, keptBack, type RolloutState } from '../rollout/rollout-state.ts'
import { parseChoice, parseNumber } from '../settings.ts'

interface RolloutSettings extends ConnectionSettings {
  readonly output: 'text' | 'json'
}

interface StatusSettings extends RolloutSettings {
  readonly watch: boolean
  readonly timeout: number
}

/** Milliseconds between two looks at a rollout. */
const pollEvery = 1_000
const mostRevisions = 2 ** 31 - 1

export function addRolloutCommand(program: Command, environment: Environment): void {
  const rollout = program
    .command('rollout')
    .description(
      'follow, halt, resume and undo the rollout of a SidecarSet, as kubectl rollout does for workloads',
    )
  const add = (name: string, description: string, example = name) =>
    withConnectionFlags(rollout.command(name))
      .description(description)
      .argument('<sidecarset>', 'sidecarset/NAME')
      .option('-o, --output <format>', 'text or json', parseChoice('-o', ['text', 'json']), 'text')
      .addHelpText('after', `\nExample:\n  outrigger rollout ${example} sidecarset/logs`)
  const run =
    <T extends RolloutSettings>(
      work: (session: ClusterSession, name: string, settings: T, say: Say) => Promise<void>,
    ) =>
    (given: string, settings: T) =>
      withCluster(settings, environment, (session) =>
        work(session, sidecarSetName(given), settings, sayIn(settings, environment)),
      )

  add(
    'status',
    'wait until all pods that are to be updated are, and say how far they are',
    'status --timeout 5m',
  )
    .option(
      '-w, --watch [bool]',
      'wait for the end; --watch=false says the present state and ends',
      parseSwitch('--watch'),
      true,
    )
    .option(
      '--timeout <duration>',
      'give up after this long, with exit code 1; 0 never does',
      parseDuration('--timeout'),
      0,
    )
    .action(
      run((session, name, settings: StatusSettings) => followStatus(session, name, settings, environment)),
    )
  add('pause', 'change no more running pods until it is resumed').action(
    run(({ client }, name, _, say) => setPaused(client, name, true, say)),
  )
  add('resume', 'go on changing running pods').action(
    run(({ client }, name, _, say) => setPaused(client, name, false, say)),
  )
  add('history', 'list the recorded revisions, their images and how many pods carry them')
    .option(
      '--revision <number>',
      'print what this revision records',
      parseNumber('--revision', 1, mostRevisions),
    )
    .action(
      run(({ client }, name, settings: RolloutSettings & { revision?: number }, say) =>
        printHistory(client, name, settings.revision, say),
      ),
    )
  add('undo', 'go back to an earlier revision', 'undo --to-revision 3')
    .option(
      '--to-revision <number>',
      'which one; 0 is the one before',
      parseNumber('--to-revision', 0, mostRevisions),
      0,
    )
    .option('--dry-run', 'have the server check it and change nothing', false)
    .action(
      run(({ client }, name, settings: RolloutSettings & UndoSettings, say) =>
        undo(client, name, settings, say),
      ),
    )
  for (const command of rollout.commands) command.copyInheritedSettings(program)
}

/** Says something to people, or the same as a value to programs. */
type Say = (text: string, value: object) => void

function sayIn({ output }: RolloutSettings, { writeOut }: Environment): Say {
  return (text, value) => writeOut(`${output === 'json' ? JSON.stringify(value, undefined, 2) : text}\n`)
}

/** `sidecarset/NAME` in the spellings kubectl takes. @throws UserError */
function sidecarSetName(given: string): string {
  const [, name] = /^(?:sidecarsets?(?:\.apps\.kruise\.io)?\/)?([^/]+)$/.exec(given) ?? []
  if (name !== undefined) return name
  throw new UserError(`${given} is not a SidecarSet`, 'write sidecarset/NAME')
}

function parseSwitch(flag: string): (text: string) => boolean {
  return (text) => {
    if (text === 'true' || text === 'false') return text === 'true'
    throw new UserError(`${flag} ${text} is neither true nor false`, `write ${flag}=false`)
  }
}

async function followStatus(
  { client, clock }: ClusterSession,
  name: string,
  { watch, timeout, output }: StatusSettings,
  environment: Environment,
): Promise<void> {
  const screen = screenFor(environment, { watch, output })
  const start = clock.monotonic()
  for (;;) {
    const sidecarSet = await readSidecarSet(client, name)
    const state = await stateIfNeeded(client, sidecarSet)
    const kept = hasSelector(sidecarSet) && state ? keptBack(state) : undefined
    const now = withWays(withTracks(rolloutProgress(sidecarSet, kept), state), sidecarSet, state)
    const absence = now.isDone ? undefined : await managerAbsence(client, clock)
    screen.show(absence === undefined ? now : withAbsence(now, absence))
    if (now.isDone || !watch) break
    const left = timeout === 0 ? pollEvery : timeout - (clock.monotonic() - start)
    if (left <= 0) {
      throw new UserError(
        `timed out after ${timeout / 1_000} s: ${absence ?? (await whyNot(client, sidecarSet))}`,
        `outrigger explain sidecarset ${name} says more`,
      )
    }
    await clock.sleep(Math.min(pollEvery, left))
  }
}

/** Judged by the pods where there are a selector, tracks or policies; without them, status says enough. */
async function stateIfNeeded(
  client: ClusterSession['client'],
  sidecarSet: SidecarSet,
): Promise<RolloutState | undefined> {
  return hasSelector(sidecarSet) || needsContents(sidecarSet) ? readState(client, sidecarSet) : undefined
}

/** Whether what pods carry decides how they stand. */
function needsContents(sidecarSet: SidecarSet): boolean {
  return tracksOf(sidecarSet).length > 0 || changePolicies(sidecarSet) !== undefined
}

function hasSelector({ spec }: SidecarSet): boolean {
  return spec.updateStrategy?.selector !== undefined
}

async function readState(client: ClusterSession['client'], sidecarSet: SidecarSet): Promise<RolloutState> {
  const [picture, pods, contents] = await Promise.all([
    readPicture(client),
    readPods(client),
    needsContents(sidecarSet) ? readContents(client, sidecarSet) : undefined,
  ])
  return judgeRollout(sidecarSet, pods, picture.namespace, contents, picture.canResizePods)
}

async function whyNot(client: ClusterSession['client'], sidecarSet: SidecarSet): Promise<string> {
  const { blockers, pods: progress } = await readState(client, sidecarSet)
  const changing = progress.filter(({ standing }) => standing === 'changing')
  const [first] = changing
  if (blockers[0] !== undefined) return blockers[0]
  if (first === undefined) return 'the manager has not counted all pods yet'
  return `${countOf(changing.length, 'pod')} on the way: ${first.pod}: ${first.reason}`
}

interface Screen {
  show(progress: RolloutProgress): void
}

function screenFor(
  environment: Environment,
  { watch, output }: Pick<StatusSettings, 'watch' | 'output'>,
): Screen {
  if (output === 'json') return linewise(environment, (progress) => JSON.stringify(statusObject(progress)))
  return obeysCommands(environment) && watch
    ? redrawing(environment)
    : linewise(environment, ({ text }) => text)
}

function statusObject({ sidecarSet, isDone, text, counts, tracks, ways, blocker }: RolloutProgress): object {
  return {
    sidecarSet,
    isDone,
    message: text,
    ...counts,
    ...(tracks && { tracks }),
    ...(ways && { ways }),
    ...(blocker && { blocker }),
  }
}

/** One line for each change, for pipes, logs and programs. */
function linewise({ writeOut }: Environment, lineOf: (progress: RolloutProgress) => string): Screen {
  let last = ''
  return {
    show(progress) {
      const line = lineOf(progress)
      if (line !== last) writeOut(`${line}\n`)
      last = line
    },
  }
}

/** One line that is drawn anew, with a bar. It always ends in a line break: whatever interrupts finds the screen in order. */
function redrawing({ writeOut, columns = 80 }: Environment): Screen {
  let toItsStart = ''
  return {
    show({ text, progress, note, isDone }) {
      // A line that fills the terminal would be broken, and its first half stay behind.
      writeOut(`${toItsStart}${isDone ? text : formatProgressLine(progress, note, columns - 1)}\n`)
      toItsStart = '\u001b[1A\r\u001b[K'
    },
  }
}

const resource = outriggerResources.sidecarSets
const titleOf = (name: string) => `sidecarset.apps.kruise.io/${name}`

async function setPaused(
  client: ClusterSession['client'],
  name: string,
  paused: boolean,
  say: Say,
): Promise<void> {
  const { spec } = await readSidecarSet(client, name)
  if ((spec.updateStrategy?.paused ?? false) === paused)
    throw new UserError(`${titleOf(name)} is ${paused ? 'already' : 'not'} paused`)
  const body = { spec: { updateStrategy: { paused } } }
  await client.patch(
    resource,
    { namespace: '', name },
    { type: 'merge', body },
    { fieldManager: 'outrigger-cli' },
  )
  say(`${titleOf(name)} ${paused ? 'paused' : 'resumed'}`, { sidecarSet: name, isPaused: paused })
}

async function printHistory(
  client: ClusterSession['client'],
  name: string,
  number: number | undefined,
  say: Say,
): Promise<void> {
  const sidecarSet = await readSidecarSet(client, name)
  const revisions = await readRevisions(client, sidecarSet)
  if (revisions.length === 0) throw noHistory(name)
  if (number !== undefined) {
    const recorded = recordedSpec(revisionToRestore(sidecarSet, revisions, number))
    return say(formatYaml(recorded).trimEnd(), recorded)
  }
  const history = historyOf(sidecarSet, revisions, await readPods(client))
  say(formatHistory(history).trimEnd(), history)
}

interface UndoSettings {
  readonly toRevision: number
  readonly dryRun: boolean
}

async function undo(
  client: ClusterSession['client'],
  name: string,
  { toRevision, dryRun }: UndoSettings,
  say: Say,
): Promise<void> {
  const sidecarSet = await readSidecarSet(client, name)
  const target = revisionToRestore(sidecarSet, await readRevisions(client, sidecarSet), toRevision)
  const suffix = dryRun ? ' (server dry run)' : ''
  const isChanged = target.metadata.name !== revisionNameOf(sidecarSet)
  const answer = {
    sidecarSet: name,
    revision: target.revision,
    name: target.metadata.name,
    isChanged,
    dryRun,
  }
  if (!isChanged)
    return say(
      `${titleOf(name)} skipped rollback (current content already matches revision ${target.revision})${suffix}`,
      answer,
    )
  const body = { spec: recordedSpec(target) }
  await client.patch(
    resource,
    { namespace: '', name },
    { type: 'merge', body },
    { fieldManager: 'outrigger-cli', dryRun },
  )
  say(`${titleOf(name)} rolled back to revision ${target.revision}${suffix}`, answer)
}
