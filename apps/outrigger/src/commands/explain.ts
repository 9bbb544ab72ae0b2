import { UserError } from '@outrigger/foundation'
import { injectedSidecarSets } from '@outrigger/operator'
import type { Command } from 'commander'
import { withCluster } from '../cluster/cluster-session.ts'
import { managerAbsence } from '../cluster/manager-absence.ts'
import {
  readContents,
  readPicture,
  readPod,
  readPods,
  readRefusal,
  readSidecarSet,
} from '../cluster/read-cluster.ts'
import { type ConnectionSettings, findConnection, withConnectionFlags } from '../connection.ts'
import type { Environment } from '../environment.ts'
import { formatPod } from '../explanation/format-pod.ts'
import { formatSidecarSet } from '../explanation/format-sidecar-set.ts'
import { explainPod } from '../explanation/pod-explanation.ts'
import { explainSidecarSet } from '../explanation/sidecar-set-explanation.ts'
import { paintFor } from '../rendering/paint.ts'
import { collect, parseChoice } from '../settings.ts'
import { runInjection } from './inject.ts'

interface ExplainSettings extends ConnectionSettings {
  readonly output: 'text' | 'json'
}

interface ExplainPodSettings extends ExplainSettings {
  readonly namespace?: string
  readonly filename?: readonly string[]
  readonly sidecarSets?: readonly string[]
}

export function addExplainCommand(program: Command, environment: Environment): void {
  const explain = program.command('explain').description('say why pods have the sidecars they have')
  const parseOutput = parseChoice('-o', ['text', 'json'])
  const pod = explain
    .command('pod')
    .description(
      'which SidecarSets apply and why, where the pod goes, what it waits for, and how current it is',
    )
    .argument('[pod]', 'NAMESPACE/NAME, or NAME with -n')
    .option('-n, --namespace <name>', 'namespace of the pod (default: that of the kubeconfig)')
    .option(
      '-f, --filename <path>',
      'explain these manifests without a cluster: file, folder, or -; repeatable',
      collect((text) => text),
    )
    .option(
      '-s, --sidecar-sets <path>',
      'with -f: SidecarSets, bindings, namespaces and nodes to reckon with; repeatable',
      collect((text) => text),
    )
    .option('-o, --output <format>', 'text or json', parseOutput, 'text')
    .addHelpText('after', '\nExample:\n  outrigger explain pod shop/web-7d4b9')
  withConnectionFlags(pod).action((name: string | undefined, settings: ExplainPodSettings) =>
    settings.filename === undefined
      ? explainLivePod(name, settings, environment)
      : explainFiles(settings.filename, settings, environment),
  )
  const sidecarSet = explain
    .command('sidecarset')
    .description('which pods carry a SidecarSet, how far its rollout is, and what keeps it from going on')
    .argument('<name>', 'name of the SidecarSet')
    .option('-o, --output <format>', 'text or json', parseOutput, 'text')
    .addHelpText('after', '\nExample:\n  outrigger explain sidecarset logs')
  withConnectionFlags(sidecarSet).action((name: string, settings: ExplainSettings) =>
    explainLiveSidecarSet(name, settings, environment),
  )
  for (const command of explain.commands) command.copyInheritedSettings(program)
}

function explainFiles(
  filename: readonly string[],
  settings: ExplainPodSettings,
  environment: Environment,
): Promise<void> {
  return runInjection(
    {
      filename,
      ...(settings.sidecarSets && { sidecarSets: settings.sidecarSets }),
      namespace: settings.namespace ?? 'default',
      nodeType: 'auto',
      time: '1970-01-01T00:00:00Z',
      diff: false,
      forManager: false,
      explain: true,
      output: settings.output === 'json' ? 'json' : 'yaml',
    },
    environment,
  )
}

async function explainLivePod(
  given: string | undefined,
  settings: ExplainPodSettings,
  environment: Environment,
): Promise<void> {
  const [namespace, name] = podKey(given, settings, environment)
  await withCluster(settings, environment, async ({ client, clock }) => {
    const pod = await readPod(client, namespace, name)
    const [picture, pods, refusal, absence] = await Promise.all([
      readPicture(client),
      readPods(client),
      readRefusal(client, pod),
      managerAbsence(client, clock),
    ])
    const carried = injectedSidecarSets(pod).flatMap((one) => picture.sidecarSets.get(one)?.sidecarSet ?? [])
    const contents = new Map(
      await Promise.all(
        carried.map(
          async (sidecarSet) => [sidecarSet.metadata.name, await readContents(client, sidecarSet)] as const,
        ),
      ),
    )
    const explanation = explainPod(pod, picture, pods, { refusal, managerAbsence: absence, contents })
    environment.writeOut(
      settings.output === 'json'
        ? `${JSON.stringify(explanation, undefined, 2)}\n`
        : formatPod(explanation, paintFor(environment)),
    )
  })
}

function podKey(
  given: string | undefined,
  settings: ExplainPodSettings,
  environment: Environment,
): readonly [namespace: string, name: string] {
  // kubectl's `-o name` says pod/NAME.
  const [first = '', second, ...more] = (given ?? '').replace(/^pods?\//, '').split('/')
  if (first === '' || second === '')
    throw new UserError(
      'no pod is named',
      'write outrigger explain pod NAMESPACE/NAME, or give manifests with -f',
    )
  if (more.length > 0) throw new UserError(`${given} is not a pod`, 'write NAMESPACE/NAME')
  if (second !== undefined) {
    if (settings.namespace !== undefined && settings.namespace !== first)
      throw new UserError(
        `${given} names namespace ${first}, and -n ${settings.namespace}`,
        'give one of the two',
      )
    return [first, second]
  }
  return [settings.namespace ?? findConnection(settings, environment).namespace ?? 'default', first]
}

async function explainLiveSidecarSet(
  given: string,
  settings: ExplainSettings,
  environment: Environment,
): Promise<void> {
  await withCluster(settings, environment, async ({ client, clock }) => {
    const sidecarSet = await readSidecarSet(client, given.replace(/^sidecarsets?(\.[^/]*)?\//, ''))
    const [picture, pods, recorded, absence] = await Promise.all([
      readPicture(client),
      readPods(client),
      readContents(client, sidecarSet),
      managerAbsence(client, clock),
    ])
    const explanation = explainSidecarSet(sidecarSet, picture, pods, { recorded, managerAbsence: absence })
    environment.writeOut(
      settings.output === 'json'
        ? `${JSON.stringify(explanation, undefined, 2)}\n`
        : formatSidecarSet(explanation, paintFor(environment)),
    )
  })
}
