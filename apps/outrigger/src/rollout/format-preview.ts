import { countOf } from '../rendering/count.ts'
import type { Paint } from '../rendering/paint.ts'
import { formatTable } from '../rendering/table.ts'
import type { ChangedField } from './changed-fields.ts'
import type { TrackCount } from './track-count.ts'
import type { UpdatePreview } from './update-preview.ts'

/** How many pods a preview for people lists; `-o json` has them all. */
const mostPods = 50

/** A preview for people: totals first, then pod by pod. */
export function formatPreview(preview: UpdatePreview, paint: Paint): string {
  const { sidecarSet, change, revision, changes, totals, atOnce, pods, tracks } = preview
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
    'resized in place': `cpu and memory change in running pods, images with them, at most ${atOnce} at once`,
    'made anew': `a manager with --recreate-pods evicts them for their owners to make new ones, at most ${atOnce} away at once`,
    'held back': 'could change now, and may not yet',
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
    changesText(changes, paint) +
    tracksText(tracks) +
    (table === '' ? '' : `  Pods\n${table}${more}`)
  )
}

function tracksText(tracks: readonly TrackCount[]): string {
  if (tracks.length === 0) return ''
  const rows = tracks.map(({ track, version, share, pods, updated }) => [
    track || 'on none',
    version,
    share,
    `${countOf(pods, 'pod')}, ${updated} of them with it already`,
  ])
  return `  Tracks\n${formatTable(rows, { indent: '    ' })}`
}

/** How many changed fields a preview for people lists. */
const mostChanges = 20
const longestValue = 60

function changesText(changes: readonly ChangedField[], paint: Paint): string {
  if (changes.length === 0) return ''
  const notes = {
    'in place': paint.added('reaches running pods'),
    'resized in place': paint.added('resizes running pods'),
    'made anew': paint.warning('has pods made anew'),
    'on recreation': paint.warning('reaches new pods only'),
    'no pod': paint.faint('changes no pod'),
  }
  const rows = changes
    .slice(0, mostChanges)
    .map(({ field, before, after, reaches }) => [field, notes[reaches], transition(before, after)])
  const rest = changes.length - mostChanges
  const more = rest > 0 ? `    and ${rest} more (-o json lists all)\n` : ''
  return `  Changes\n${formatTable(rows, { indent: '    ' })}${more}`
}

function transition(before: unknown, after: unknown): string {
  const [from, to] = [shortly(before), shortly(after)]
  if (before === undefined) return `added ${to}`.trimEnd()
  if (after === undefined) return `removed ${from}`.trimEnd()
  return from === '' || to === '' ? '' : `${from} -> ${to}`
}

function shortly(value: unknown): string {
  const text = JSON.stringify(value) ?? ''
  return text.length > longestValue ? '' : text
}
