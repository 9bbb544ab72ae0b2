import { UserError } from '@outrigger/foundation'
import { formatYaml, type KubeObject } from '@outrigger/kube'
import type { Command } from 'commander'
import { absolutePath, type Environment } from '../environment.ts'
import { formatInjection } from '../explanation/format-injection.ts'
import { pictureOf } from '../manifests/cluster-picture.ts'
import { type InjectedManifest, injectManifests } from '../manifests/inject-manifests.ts'
import {
  type Manifest,
  namesOf,
  placeOf,
  readManifests,
  refuseNothing,
  refuseRepeatedInput,
  titleOf,
} from '../manifests/manifest-files.ts'
import { parseInstant } from '../manifests/parse-instant.ts'
import { type Paint, paintFor } from '../rendering/paint.ts'
import { formatUnifiedDiff } from '../rendering/unified-diff.ts'
import { collect, parseChoice } from '../settings.ts'

/** What `outrigger inject` is told. */
export interface InjectSettings {
  readonly filename: readonly string[]
  readonly sidecarSets?: readonly string[]
  readonly namespace: string
  readonly nodeType: 'auto' | 'virtual'
  readonly time: string
  readonly forManager: boolean
  readonly diff: boolean
  readonly explain: boolean
  readonly output: 'yaml' | 'json'
}

const asText = (text: string) => text

export function addInjectCommand(program: Command, environment: Environment): void {
  program
    .command('inject')
    .description(
      'print manifests with their sidecars in place, without a cluster: pods and the pod templates of all workloads',
    )
    .requiredOption(
      '-f, --filename <path>',
      'manifests: file, folder, or - for standard input; repeatable',
      collect(asText),
    )
    .option(
      '-s, --sidecar-sets <path>',
      'SidecarSets, bindings, namespaces and nodes to reckon with, not to print (default: those among -f); repeatable',
      collect(asText),
    )
    .option('-n, --namespace <name>', 'namespace of manifests that name none', 'default')
    .option(
      '--node-type <type>',
      'auto (what the manifests say) or virtual (pods that may go anywhere have come to a virtual node)',
      parseChoice('--node-type', ['auto', 'virtual']),
      'auto',
    )
    .option(
      '--time <time>',
      'time that injection records carry; fixed, so that the same input gives the same output',
      parseInstant,
      '1970-01-01T00:00:00Z',
    )
    .option(
      '--for-manager',
      "leave out what only a manager may write: its label, its records and other namespaces' volumes",
      false,
    )
    .option('--diff', 'print what changes instead', false)
    .option('--explain', 'print the reasons instead', false)
    .option('-o, --output <format>', 'yaml or json', parseChoice('-o', ['yaml', 'json']), 'yaml')
    .addHelpText(
      'after',
      '\nFor review, and for clusters without the manager. Where one runs, apply the manifests as they are, or print them\n' +
        'with --for-manager: it refuses pods for virtual nodes that bring its records along.\n' +
        '\nExample:\n  outrigger inject -f deployment.yaml -s sidecarsets/ --diff',
    )
    .action((settings: InjectSettings) => runInjection(settings, environment))
}

/** Prints manifests injected, or what changes, or why. @throws UserError before anything is printed. */
export async function runInjection(settings: InjectSettings, environment: Environment): Promise<void> {
  if (settings.diff && settings.output === 'json')
    throw new UserError('--diff is for people and has no JSON', 'leave out --diff or -o json')
  const sources = [...settings.filename, ...(settings.sidecarSets ?? [])]
  refuseRepeatedInput(sources)
  const manifests = await readManifests(settings.filename, environment)
  refuseNothing(manifests, settings.filename)
  // One file may be given as both, in a folder for example.
  const known = new Set(manifests.map((manifest) => identityOf(manifest, environment)))
  const facts = (await readManifests(settings.sidecarSets ?? [], environment)).filter(
    (manifest) => !known.has(identityOf(manifest, environment)),
  )
  const picture = pictureOf([...manifests, ...facts])
  if (picture.sidecarSets.size === 0)
    throw new UserError(`there is no SidecarSet in ${namesOf(sources)}`, 'name its file with -s')
  const injected = injectManifests(manifests, {
    picture,
    namespace: settings.namespace,
    time: settings.time,
    comesToVirtualNode: settings.nodeType === 'virtual',
    isForManager: settings.forManager,
  })
  environment.writeOut(outputOf(injected, settings, paintFor(environment)))
}

function identityOf({ file, line, item }: Manifest, environment: Environment): string {
  return `${absolutePath(environment, file)}:${line}:${item ?? ''}`
}

function outputOf(injected: readonly InjectedManifest[], settings: InjectSettings, paint: Paint): string {
  if (settings.explain && settings.output === 'json')
    return `${JSON.stringify(injected.flatMap(explanationObject), undefined, 2)}\n`
  const parts: string[] = []
  if (settings.explain)
    parts.push(
      injected
        .map((one) => explanationText(one, paint))
        .filter(Boolean)
        .join('\n'),
    )
  if (settings.diff) parts.push(injected.map((one) => diffText(one, paint)).join(''))
  if (parts.length > 0) return parts.filter(Boolean).join('\n')
  return settings.output === 'json' ? jsonText(injected.map(({ object }) => object)) : yamlText(injected)
}

function explanationObject({ manifest, explanation }: InjectedManifest): unknown[] {
  if (explanation === undefined) return []
  const { kind, metadata } = manifest.object
  const subject = { kind, namespace: metadata.namespace, name: metadata.name }
  return [{ file: manifest.file, line: manifest.line, subject, ...explanation }]
}

function explanationText({ manifest, explanation }: InjectedManifest, paint: Paint): string {
  if (explanation === undefined) return ''
  return formatInjection(`${titleOf(manifest.object)} (${placeOf(manifest)})`, explanation, paint)
}

/** Both sides are printed by us, so that only what injection changes shows. */
function diffText({ manifest, object }: InjectedManifest, paint: Paint): string {
  if (object === manifest.object) return ''
  const name = titleOf(object).replace(' ', '/').replaceAll('*', '')
  return formatUnifiedDiff({ name, before: formatYaml(manifest.object), after: formatYaml(object) }, paint)
}

/** One object as it is, several as a List, as kubectl prints them. */
function jsonText(items: readonly unknown[]): string {
  const value = items.length === 1 ? items[0] : { apiVersion: 'v1', kind: 'List', items }
  return `${JSON.stringify(value, undefined, 2)}\n`
}

/** Documents in which nothing changed keep their very text, comments included. */
function yamlText(injected: readonly InjectedManifest[]): string {
  const byDocument = new Map<Manifest['document'], InjectedManifest[]>()
  for (const one of injected) {
    const { document } = one.manifest
    byDocument.set(document, [...(byDocument.get(document) ?? []), one])
  }
  return [...byDocument]
    .flatMap(([document, members]) =>
      members.every(({ object, manifest }) => object === manifest.object)
        ? [document.text]
        : members.map(({ object }) => formatYaml(object as KubeObject)),
    )
    .join('---\n')
}
