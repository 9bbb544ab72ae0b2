import type { Paint } from '../rendering/paint.ts'
import { formatTable } from '../rendering/table.ts'
import type { DestinationStory, InjectionExplanation, ReferenceStory } from './injection-explanation.ts'
import type { ContainerOrigin } from './origins.ts'

/** An explanation for people: what is decided, and behind each decision its reason. */
export function formatInjection(title: string, explanation: InjectionExplanation, paint: Paint): string {
  const { destination, sidecarSets, contents, containers, volumes, fields, references, warnings } =
    explanation
  return [
    `${paint.heading(title)}\n`,
    `  Destination  ${destinationText(destination)}\n`,
    section(
      '  SidecarSets',
      sidecarSetTable(sidecarSets, ({ sidecarSet, isInjected, reason }) => [
        isInjected ? paint.added('injected') : paint.faint('not'),
        sidecarSet,
        reason,
      ]),
    ),
    section(
      '  Versions',
      formatTable(
        contents.map(({ sidecarSet, reason }) => [sidecarSet, reason]),
        { indent: '    ' },
      ),
    ),
    section('  Containers', containers.map((container) => containerText(container, paint)).join('')),
    section(
      '  Volumes',
      formatTable(
        volumes.map(({ name, action, sidecarSet, reason }) => [
          name,
          action === 'add' ? `added from SidecarSet ${sidecarSet}` : "the pod's own is kept",
          reason,
        ]),
        { indent: '    ' },
      ),
    ),
    section(
      '  Fields',
      formatTable(
        fields.map(({ field, reason }) => [field, reason]),
        { indent: '    ' },
      ),
    ),
    referencesSection(references, paint),
    section('  Warnings', warnings.map((warning) => `    ${paint.warning(warning)}\n`).join('')),
  ].join('')
}

export function destinationText({ node, reason }: DestinationStory): string {
  switch (node) {
    case 'virtual':
      return `a virtual node, certainly: ${reason}`
    case 'none':
      return `no virtual node: ${reason}`
    case 'open':
      return `open, the scheduler decides: ${reason}`
  }
}

export function referencesSection(references: readonly ReferenceStory[], paint: Paint): string {
  const lines = references.map(({ field, kind, object, decision, message }) => [
    decision === 'granted' ? paint.added(decision) : paint.warning(decision),
    `${kind} ${object}`,
    field,
    message,
  ])
  return section('  References to other namespaces', formatTable(lines, { indent: '    ' }))
}

/** How many SidecarSets that select other pods are listed for people. */
const mostStrangers = 10

/** A line for each SidecarSet: first those that select the pod, then a few of those that do not, of which there may be thousands. */
export function sidecarSetTable<T extends { readonly selectsPod: boolean }>(
  sidecarSets: readonly T[],
  cellsOf: (sidecarSet: T) => readonly string[],
): string {
  if (sidecarSets.length === 0) return '    there are none\n'
  const strangers = sidecarSets.filter(({ selectsPod }) => !selectsPod)
  const listed = [...sidecarSets.filter(({ selectsPod }) => selectsPod), ...strangers.slice(0, mostStrangers)]
  const rest = strangers.length - mostStrangers
  const more = rest > 0 ? `    and ${rest} more that select other labels (-o json lists all)\n` : ''
  return formatTable(listed.map(cellsOf), { indent: '    ' }) + more
}

/** A heading and what is below it; nothing if nothing is. */
export function section(heading: string, body: string): string {
  return body === '' ? '' : `${heading}\n${body}`
}

function containerText(
  { name, list, action, reason, sidecarSet, image, env, mounts }: ContainerOrigin,
  paint: Paint,
): string {
  const where = {
    'put before': "put before the pod's own",
    'put after': "put after the pod's own",
    replace: "takes the place of the pod's",
  }[action]
  const kind = list === 'initContainers' ? 'init container ' : ''
  const parts = [
    ...env.map((variable) => ['env', variable.name, `from ${variable.origin}`]),
    ...mounts.map((mount) => ['mount', mount.name, `volume ${mount.volume}, ${mount.origin}`]),
  ]
  return (
    `    ${kind}${paint.added(name)} (${image}) from SidecarSet ${sidecarSet}, ${where}: ${reason}\n` +
    formatTable(parts, { indent: '      ' })
  )
}
