import type { PodFate } from '@outrigger/operator'
import { countOf } from '../rendering/count.ts'
import type { Paint } from '../rendering/paint.ts'
import { formatTable } from '../rendering/table.ts'
import { wayWords } from '../rollout/change-way.ts'
import { type PodProgress, type RolloutState, spendersOf } from '../rollout/rollout-state.ts'
import { section } from './format-injection.ts'
import type { NeededReference, SidecarSetExplanation } from './sidecar-set-explanation.ts'

/** How many names a list for people shows; `-o json` has them all. */
const mostNames = 20

/** A SidecarSet's explanation for people. */
export function formatSidecarSet(explanation: SidecarSetExplanation, paint: Paint): string {
  const {
    sidecarSet,
    selector,
    namespaces,
    injection,
    withoutManager,
    isObserved,
    managerAbsence,
    rollout,
    changes,
    missing,
    leftAlone,
    references,
    conditions,
  } = explanation
  const behind = rollout.pods.filter(({ standing }) => standing !== 'current')
  return [
    `${paint.heading(`SidecarSet ${sidecarSet}`)}\n`,
    formatTable(
      [
        ['Revision', `${rollout.revision}${isObserved ? '' : ' (the manager has not seen it yet)'}`],
        ['Selects', `pods ${selector}, namespaces ${namespaces}`],
        ['Injection', injection],
        ['Manager away', withoutManager.text],
        ['Update', strategyText(rollout)],
        ...(changes === undefined ? [] : [['Changes', changes]]),
        [
          'Pods',
          `${rollout.matched} carrying it, ${rollout.updated} of them up to date, ${rollout.updatedReady} of those ready`,
        ],
      ],
      { indent: '  ' },
    ),
    trackTable(rollout),
    section(
      '  Why not further',
      [...rollout.blockers, ...nextSteps(rollout)].map((text) => `    ${paint.warning(text)}\n`).join(''),
    ),
    section('  Trouble', managerAbsence === undefined ? '' : `    ${paint.warning(managerAbsence)}\n`),
    section('  Pods not there yet', podTable(behind, paint)),
    section('  Pods that match and do not carry it', missingTable(missing)),
    section(
      '  Pods that match and are never injected',
      leftAlone.map(({ pods, reason }) => `    ${countOf(pods, 'pod')}: ${reason}\n`).join(''),
    ),
    referenceTable(references, sidecarSet, paint),
    section('  The manager says', conditions.map((text) => `    ${text}\n`).join('')),
  ].join('')
}

function strategyText({
  strategy,
  drain,
  isPaused,
  budget,
  partition,
  matched,
  updated,
  pods,
}: RolloutState): string {
  if (strategy === 'NotUpdate') return 'NotUpdate: running pods keep what they have until they are recreated'
  const parts = [
    `${waysText(pods)}${isPaused ? ', paused' : ''}`,
    ...(drain === undefined ? [] : [`pods leave their Services for ${drain} before a restart`]),
    `maxUnavailable ${budget.maxUnavailable} = ${budget.allowed} of ${countOf(matched, 'pod')}`,
  ]
  const isDone = updated === matched
  const turns: readonly PodFate[] = ['moves-now', 'waits-for-budget']
  const isWaiting = pods.some(({ fate }) => turns.includes(fate))
  if (budget.unavailable.length > 0 || isWaiting)
    parts.push(`${spendersOf(budget)} not ready${isWaiting ? `, so ${budget.left} more may change now` : ''}`)
  if (partition.kept > 0 && !isDone)
    parts.push(`partition ${partition.written} leaves ${countOf(partition.kept, 'pod')} on older content`)
  return parts.join('; ')
}

/** How pods that are behind come to the new content. */
function waysText(pods: readonly PodProgress[]): string {
  const ways = new Set(pods.flatMap(({ way }) => (way === 'wait' ? [] : wayWords[way])))
  return ways.size === 0 ? 'in place' : [...ways].join(', ')
}

function trackTable({ tracks }: RolloutState): string {
  const rows = tracks.map(({ track, version, share, pods, updated, updatedReady }) => [
    track || 'on none',
    version,
    share,
    `${countOf(pods, 'pod')}, ${updated} of them with it, ${updatedReady} of those ready`,
  ])
  return section('  Tracks', formatTable(rows, { indent: '    ' }))
}

/** Where to look next when others wait for pods that are not ready. */
function nextSteps({ budget: { unavailable }, pods }: RolloutState): string[] {
  const [first] = unavailable
  const isWaitedFor = pods.some(({ fate }) => fate === 'waits-for-budget')
  return first !== undefined && isWaitedFor
    ? [`outrigger explain pod ${first} says more about the first of them`]
    : []
}

function podTable(pods: readonly PodProgress[], paint: Paint): string {
  const rows = pods
    .slice(0, mostNames)
    .map(({ pod, standing, revision, reason }) => [
      pod,
      paint.warning(standing),
      revision || 'no revision',
      reason,
    ])
  return formatTable(rows, { indent: '    ' }) + more(pods.length)
}

function missingTable(names: readonly string[]): string {
  if (names.length === 0) return ''
  const rows = names.slice(0, mostNames).map((name) => `    ${name}\n`)
  return `${rows.join('')}${more(names.length)}    sidecars come when a pod is created: recreate them, and see outrigger explain pod\n`
}

const more = (count: number) =>
  count > mostNames ? `    and ${count - mostNames} more (-o json lists all)\n` : ''

function referenceTable(references: readonly NeededReference[], sidecarSet: string, paint: Paint): string {
  const rows = references.map(({ field, kind, object, isGranted }) => {
    const [namespace = '', name = ''] = object.split('/')
    return [
      isGranted ? paint.added('granted') : paint.warning('waiting'),
      `${kind} ${object}`,
      field,
      isGranted
        ? ''
        : `create a SidecarSetResourceBinding in namespace ${namespace} with subject SidecarSet ${sidecarSet} and resourceRef ${kind} ${name}`,
    ]
  })
  return section('  References to other namespaces', formatTable(rows, { indent: '    ' }))
}
