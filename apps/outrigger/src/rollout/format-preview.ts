import type { Paint } from '../rendering/paint.ts'
import { formatTable } from '../rendering/table.ts'
import type { UpdatePreview } from './update-preview.ts'

/** How many pods a preview for people lists; `-o json` has them all. */
const mostPods = 50

/** A preview for people: totals first, then pod by pod. */
export function formatPreview(preview: UpdatePreview, paint: Paint): string {
  const { sidecarSet, change, revision, totals, atOnce, pods } = preview
  const title = {
    create: `would be created as revision ${revision.after}`,
    update:
      revision.before === revision.after
        ? `would change, its revision ${revision.after} would not`
        : `would go from revision ${revision.before} to ${revision.after}`,
    none: 'would not change',
  }[change]
  const notes: Readonly<Record<string, string>> = {
    'in place': `images change in running pods, at most ${atOnce} at once`,
    'held back': 'could change in place, and may not yet',
    'on recreation': 'carry it, and change when they are recreated',
    'newly matched': 'get it when they are recreated',
    'no longer matched': 'carry it, and keep what they have',
    unchanged: 'carry just this already',
    'not selected': 'have nothing to do with it',
  }
  const rows = Object.entries(totals)
    .filter(([, count]) => count > 0)
    .map(([effect, count]) => [effect, String(count), notes[effect] ?? ''])
  const listed = pods.filter(({ effect }) => effect !== 'unchanged')
  const table = formatTable(
    listed.slice(0, mostPods).map(({ pod, effect, reason }) => [pod, paint.warning(effect), reason]),
    { indent: '    ' },
  )
  const more =
    listed.length > mostPods ? `    and ${listed.length - mostPods} more (-o json lists all)\n` : ''
  return (
    `${paint.heading(`SidecarSet ${sidecarSet}`)} ${title}\n${formatTable(rows, { indent: '  ' }) || '  there are no pods\n'}` +
    (table === '' ? '' : `  Pods\n${table}${more}`)
  )
}
