import type { Paint } from '../rendering/paint.ts'
import { formatTable } from '../rendering/table.ts'
import { destinationText, referencesSection, section, sidecarSetTable } from './format-injection.ts'
import type { PodExplanation, SidecarSetStanding } from './pod-explanation.ts'

/** A pod's explanation for people. */
export function formatPod(explanation: PodExplanation, paint: Paint): string {
  const { pod, phase, node, destination, sidecarSets, revisions, containers, references, waiting } =
    explanation
  const color: Record<SidecarSetStanding['standing'], (text: string) => string> = {
    injected: paint.added,
    missing: paint.warning,
    gone: paint.warning,
    not: paint.faint,
  }
  const isTold = toldIn(waiting)
  return [
    `${paint.heading(`Pod ${pod}`)} is ${phase}${node === '' ? ' and has no node yet' : ` on node ${node}`}\n`,
    `  Destination  ${destinationText(destination)}\n`,
    section('  Waits for', waiting.map((text) => `    ${paint.warning(text)}\n`).join('')),
    section(
      '  SidecarSets',
      sidecarSetTable(sidecarSets, ({ sidecarSet, standing, reason }) => [
        color[standing](standing),
        sidecarSet,
        reason,
      ]),
    ),
    section(
      '  Revisions',
      formatTable(
        revisions.map(({ sidecarSet, revision, latest, isCurrent, since, choice, update }) => [
          sidecarSet,
          revision || 'not recorded',
          since === null ? 'since when is not recorded' : `since ${since}`,
          (isCurrent || latest === ''
            ? update
            : `${choice === undefined ? 'latest is' : 'it should have'} ${latest}; ${update}`) +
            (choice === undefined ? '' : `; ${choice}`),
        ]),
        { indent: '    ' },
      ),
    ),
    section(
      '  Containers',
      formatTable(
        containers.map(({ name, from, image, isReady, state }) => [
          from === 'injected' ? paint.added(name) : name,
          from,
          image,
          isReady ? 'ready' : paint.warning('not ready'),
          isTold(state) ? state.split(': ', 2).join(': ') : state,
        ]),
        { indent: '    ' },
      ),
    ),
    referencesSection(
      references.map((one) => (isTold(one.message) ? { ...one, message: '' } : one)),
      paint,
    ),
  ].join('')
}

/** Whether a text only repeats what stands at the top already. */
function toldIn(waiting: readonly string[]): (text: string) => boolean {
  const told = waiting.map((text) => text.slice(text.indexOf(': ') + 2)).filter(Boolean)
  return (text) => told.some((message) => text.includes(message))
}
