import { SystemClock, SystemRandom, silentLogger, UserError } from '@outrigger/foundation'
import type { Command } from 'commander'
import { inUserWords } from '../cluster/cluster-session.ts'
import { managerAbsence } from '../cluster/manager-absence.ts'
import { allHeld, formatVerdicts } from '../conformance/format-verdicts.ts'
import { type ClauseName, type ClauseVerdict, clauseNames } from '../conformance/hot-upgrade-clauses.ts'
import { HotUpgradeTrial } from '../conformance/hot-upgrade-trial.ts'
import { TrialCluster } from '../conformance/trial-cluster.ts'
import { trialNames, trialPod, trialSidecarSet } from '../conformance/trial-objects.ts'
import {
  type ProbeWishes,
  parseUrl,
  probeOf,
  type TrialRequest,
  type TrialWishes,
  trialRequest,
} from '../conformance/trial-request.ts'
import { type ConnectionSettings, connect, withConnectionFlags } from '../connection.ts'
import { type Environment, stopSignal } from '../environment.ts'
import { readManifests } from '../manifests/manifest-files.ts'
import { obeysCommands, paintFor } from '../rendering/paint.ts'
import { formatProgressLine } from '../rendering/progress-bar.ts'
import { parseDuration } from '../rollout/parse-duration.ts'
import { collect, parseChoice, parseNumber, parsePair } from '../settings.ts'

interface HotUpgradeSettings extends ConnectionSettings, TrialWishes, ProbeWishes {
  readonly clientImage: string
  readonly podLabel?: readonly (readonly [key: string, value: string])[]
  readonly kill: string
  readonly skip?: readonly ClauseName[]
  readonly requestTimeout: number
  readonly timeout: number
  readonly keep: boolean
  readonly output: 'text' | 'json'
}

/** What a shell says of a command that SIGINT ended. */
const interrupted = 130

export function addConformanceCommand(program: Command, environment: Environment): void {
  const conformance = program
    .command('conformance')
    .description('try on a cluster whether a sidecar keeps the contracts that Outrigger relies on')
  withConnectionFlags(conformance.command('hot-upgrade'))
    .description('upgrade a sidecar under requests, in a namespace of its own, and say which clauses held')
    .requiredOption(
      '-f, --filename <path>',
      'the SidecarSet, and ConfigMaps and Secrets that it mounts: file, folder, or - for standard input; repeatable',
      collect((text) => text),
    )
    .requiredOption('--to <image>', 'image to upgrade to')
    .option('--from <image>', "image to begin with (default: the SidecarSet's)")
    .option('--container <name>', 'the sidecar, if several are upgraded hot')
    .option('--url <url>', 'a request is an HTTP GET of this, from inside the pod', parseUrl('--url'))
    .option(
      '--tcp <port>',
      'a request is a connection to this port of 127.0.0.1',
      parseNumber('--tcp', 1, 65_535),
    )
    .option(
      '--exec <command>',
      'a request is this shell command in the client image; it failed if it ends with another code than 0',
    )
    .option(
      '--client-image <image>',
      'image of the client: busybox, or one with sh, wget and nc',
      'busybox:1.36',
    )
    .option(
      '--pod-label <key=value>',
      'label for the pod, such as alibabacloud.com/eci=true for a virtual node; repeatable',
      collect(parsePair('--pod-label')),
    )
    .option('--kill <command>', "what ends a container of the sidecar, for the image's sh", 'kill 1')
    .option(
      '--skip <clause>',
      'leave this clause out; repeatable',
      Object.assign(collect(parseChoice('--skip', clauseNames)), { choices: clauseNames }),
    )
    .option(
      '--request-timeout <duration>',
      'a request without an answer has failed after this long; whole seconds (default: 5s)',
      parseDuration('--request-timeout'),
      5_000,
    )
    .option(
      '--timeout <duration>',
      'how long each step may take (default: 2m)',
      parseDuration('--timeout'),
      120_000,
    )
    .option('--keep', 'leave namespace and SidecarSet behind, to look at', false)
    .option('-o, --output <format>', 'text or json', parseChoice('-o', ['text', 'json']), 'text')
    .addHelpText(
      'after',
      `
Clauses: ${clauseNames.slice(0, 6).join(', ')},
${clauseNames.slice(6).join(', ')}.
docs/guide/hot-upgrade-contract.md says what each asks for.
Exit code 0 only if all held that were not left out.

Example:
  outrigger conformance hot-upgrade -f mesh.yaml --to example/mesh:2 --url http://127.0.0.1:8080/`,
    )
    .action((settings: HotUpgradeSettings) => tryHotUpgrade(settings, environment))
  for (const command of conformance.commands) command.copyInheritedSettings(program)
}

async function tryHotUpgrade(settings: HotUpgradeSettings, environment: Environment): Promise<void> {
  const probe = probeOf(settings)
  const request = trialRequest(await readManifests(settings.filename, environment), settings)
  const signal = stopSignal()
  const clock = new SystemClock()
  const client = connect(settings, environment, {
    clock,
    logger: silentLogger,
    userAgent: 'outrigger/conformance',
  })
  try {
    const absence = await managerAbsence(client, clock)
    if (absence !== undefined) throw new UserError(absence)
    const names = trialNames(request.sidecarSet.metadata.name, new SystemRandom().suffix(5))
    const sidecarSet = trialSidecarSet(request.sidecarSet, request.container, request.from, names)
    const cluster = new TrialCluster({
      client,
      clock,
      names,
      container: request.container,
      ...settings,
      signal,
    })
    const pod = trialPod({
      names,
      selector: sidecarSet.spec.selector ?? {},
      labels: Object.fromEntries(settings.podLabel ?? []),
      clientImage: settings.clientImage,
      probe,
      requestTimeout: Math.max(1, Math.round(settings.requestTimeout / 1_000)),
    })
    const start = clock.monotonic()
    const screen = screenFor(settings, environment)
    let verdicts: readonly ClauseVerdict[]
    try {
      screen.step('creating namespace and SidecarSet')
      const created = await cluster.create(sidecarSet, pod, request.companions)
      verdicts = await new HotUpgradeTrial(cluster, {
        ...request,
        kill: settings.kill,
        leftOut: new Set(settings.skip),
        keepsConnection: probe.kind !== 'exec',
        onVerdict: screen.count,
        onStep: screen.step,
      }).run(created)
    } finally {
      screen.step('cleaning up')
      const left = settings.keep ? [] : await cluster.remove()
      screen.end()
      if (settings.keep)
        environment.writeError(`kept: namespace ${names.namespace}, SidecarSet ${names.sidecarSet}\n`)
      if (left.length > 0) environment.writeError(`outrigger: could not be removed: ${left.join(', ')}\n`)
    }
    report(request, verdicts, clock.monotonic() - start, settings, environment)
  } catch (error) {
    if (!signal.aborted) throw inUserWords(error)
    environment.setExitCode(interrupted)
  } finally {
    await client.close()
  }
}

function report(
  { sidecarSet, container, from, to }: TrialRequest,
  verdicts: readonly ClauseVerdict[],
  milliseconds: number,
  { output }: HotUpgradeSettings,
  environment: Environment,
): void {
  const { name } = sidecarSet.metadata
  const isHeld = allHeld(verdicts)
  const seconds = Math.round(milliseconds / 1_000)
  const title = `SidecarSet ${name}, container ${container}: ${from} to ${to} and back, ${seconds} s`
  environment.writeOut(
    output === 'json'
      ? `${JSON.stringify({ sidecarSet: name, container, from, to, isHeld, seconds, clauses: verdicts }, undefined, 2)}\n`
      : formatVerdicts(verdicts, title, paintFor(environment)),
  )
  if (!isHeld) environment.setExitCode(1)
}

interface Screen {
  step(step: string): void
  count(): void
  end(): void
}

/** One line that is drawn anew on a terminal; silence in pipes and logs. */
function screenFor({ output }: HotUpgradeSettings, environment: Environment): Screen {
  if (output === 'json' || !obeysCommands(environment)) return { step() {}, count() {}, end() {} }
  const { writeOut, columns = 80 } = environment
  let done = 0
  let note = ''
  const draw = () =>
    writeOut(`\r\u001b[K${formatProgressLine({ done, total: clauseNames.length }, note, columns - 1)}`)
  return {
    step(step) {
      note = step
      draw()
    },
    count() {
      done++
      draw()
    },
    end: () => writeOut('\r\u001b[K'),
  }
}
