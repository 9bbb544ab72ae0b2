import { duplicate, type FieldError, invalid, isRecord, type LabelSelector, required } from '@outrigger/kube'
import { sidecarSetAnnotations } from './names.ts'
import type { SidecarSet } from './sidecar-set.ts'
import type { RevisionWish, Track } from './track.ts'
import { selectorErrors } from './validation-selector.ts'
import { namesItself } from './validation-strategy.ts'

const root = `metadata.annotations[${sidecarSetAnnotations.tracks}]`
const mostTracks = 16
const fields = ['name', 'customVersion', 'revisionName', 'percent', 'selector']
const example = '[{"name":"trial","customVersion":"v2","percent":10}]'

/** Reads the annotation `outrigger.dev/tracks`. What has errors may not have the shape it claims. */
export function parseTracks(text: string): { tracks: readonly Track[]; errors: FieldError[] } {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { tracks: [], errors: [invalid(root, text, `must be a JSON list such as ${example}`)] }
  }
  if (!Array.isArray(value))
    return { tracks: [], errors: [invalid(root, text, `must be a JSON list such as ${example}`)] }
  const tooMany =
    value.length > mostTracks ? [invalid(root, value.length, `must have at most ${mostTracks} tracks`)] : []
  const each = value.flatMap((item, i) => oneTrackErrors(item, `${root}[${i}]`))
  if (tooMany.length + each.length > 0) return { tracks: [], errors: [...tooMany, ...each] }
  const tracks = value as Track[]
  return { tracks, errors: [...nameErrors(tracks), ...sumErrors(tracks)] }
}

/** What is wrong with a SidecarSet's tracks in themselves. */
export function trackErrors({ metadata }: SidecarSet): FieldError[] {
  const text = metadata.annotations?.[sidecarSetAnnotations.tracks]
  return text === undefined ? [] : parseTracks(text).errors
}

/**
 * Tracks whose revision is not recorded. A track may name the very content that is being written, and one that the stored
 * object has already may stay.
 */
export function trackRevisionErrors(
  sidecarSet: SidecarSet,
  old: SidecarSet | undefined,
  hasRevision: ((sidecarSet: SidecarSet, wish: RevisionWish) => boolean) | undefined,
): FieldError[] {
  const text = sidecarSet.metadata.annotations?.[sidecarSetAnnotations.tracks]
  if (text === undefined || hasRevision === undefined) return []
  const { tracks, errors } = parseTracks(text)
  if (errors.length > 0) return []
  const before = parseTracks(old?.metadata.annotations?.[sidecarSetAnnotations.tracks] ?? '[]').tracks
  const wishOf = ({ revisionName, customVersion }: RevisionWish) =>
    `${revisionName ?? ''}/${customVersion ?? ''}`
  const known = new Set(before.map(wishOf))
  return tracks.flatMap((track, i) => {
    if (known.has(wishOf(track)) || namesItself(sidecarSet, track) || hasRevision(sidecarSet, track))
      return []
    const [field, value] = track.revisionName
      ? ['revisionName', track.revisionName]
      : ['customVersion', track.customVersion]
    return [
      invalid(
        `${root}[${i}].${field}`,
        value,
        'is not recorded for the SidecarSet; outrigger rollout history lists what is',
      ),
    ]
  })
}

function oneTrackErrors(item: unknown, path: string): FieldError[] {
  if (!isRecord(item)) return [invalid(path, item, `must be a track such as ${example.slice(1, -1)}`)]
  const errors = Object.keys(item)
    .filter((field) => !fields.includes(field))
    .map((field) => invalid(`${path}.${field}`, item[field], `is unknown; a track has ${fields.join(', ')}`))
  const { name, customVersion, revisionName, percent, selector } = item
  if (typeof name !== 'string' || !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name))
    errors.push(
      invalid(`${path}.name`, name, 'must be a word of at most 63 lower-case letters, digits and dashes'),
    )
  const isText = (value: unknown) => value === undefined || (typeof value === 'string' && value.length <= 253)
  for (const [field, value] of Object.entries({ customVersion, revisionName }))
    if (!isText(value)) errors.push(invalid(`${path}.${field}`, value, 'must be a text'))
  if (!customVersion && !revisionName)
    errors.push(required(`${path}.customVersion`, 'say which version: customVersion or revisionName'))
  if (customVersion && revisionName)
    errors.push(invalid(`${path}.revisionName`, revisionName, 'say either customVersion or revisionName'))
  const isShare = typeof percent === 'number' && percent >= 0 && percent <= 100
  if (percent !== undefined && !isShare)
    errors.push(invalid(`${path}.percent`, percent, 'must be a number from 0 to 100'))
  if (selector !== undefined) errors.push(...trackSelectorErrors(`${path}.selector`, selector))
  return errors
}

function trackSelectorErrors(path: string, selector: unknown): FieldError[] {
  if (!isLabelSelector(selector))
    return [invalid(path, selector, 'must be a label selector with matchLabels or matchExpressions')]
  return selectorErrors(path, selector)
}

function isLabelSelector(value: unknown): value is LabelSelector {
  if (!isRecord(value)) return false
  const { matchLabels = {}, matchExpressions = [], ...others } = value
  const isTerm = (term: unknown) =>
    isRecord(term) &&
    typeof term['key'] === 'string' &&
    typeof term['operator'] === 'string' &&
    (term['values'] === undefined || isTextList(term['values']))
  return (
    Object.keys(others).length === 0 &&
    isRecord(matchLabels) &&
    isTextList(Object.values(matchLabels)) &&
    Array.isArray(matchExpressions) &&
    matchExpressions.every(isTerm)
  )
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

function nameErrors(tracks: readonly Track[]): FieldError[] {
  const seen = new Set<string>()
  return tracks.flatMap(({ name }, i) => {
    if (seen.has(name)) return [duplicate(`${root}[${i}].name`, name)]
    seen.add(name)
    return []
  })
}

/** Shares that one pod may meet together must leave nothing owing. Those of tracks that no pod can be on both of are apart. */
function sumErrors(tracks: readonly Track[]): FieldError[] {
  const sum = largestSum(
    tracks.filter(({ percent }) => percent !== undefined),
    [],
  )
  // Shares may be fractions that binary numbers only come close to.
  if (sum <= 100 + 1e-9) return []
  return [
    invalid(
      root,
      `${sum} percent`,
      'the tracks that a pod may meet together must not be more than 100 percent; lower one, or tell their selectors apart by a label',
    ),
  ]
}

/** Leaving a track out can only help where it keeps another one out. */
function largestSum([first, ...rest]: readonly Track[], met: readonly Track[]): number {
  if (first === undefined) return met.reduce((sum, { percent = 0 }) => sum + percent, 0)
  if (met.some((one) => areApart(one, first))) return largestSum(rest, met)
  const withIt = largestSum(rest, [...met, first])
  return rest.some((one) => areApart(first, one)) ? Math.max(withIt, largestSum(rest, met)) : withIt
}

/** Whether two selectors demand different values of one label. */
function areApart(left: Track, right: Track): boolean {
  const demanded = demandsOf(right.selector)
  return [...demandsOf(left.selector)].some(([key, values]) => {
    const others = demanded.get(key)
    return others !== undefined && !values.some((value) => others.includes(value))
  })
}

function demandsOf({ matchLabels = {}, matchExpressions = [] }: LabelSelector = {}): Map<string, string[]> {
  const demands = new Map(Object.entries(matchLabels).map(([key, value]) => [key, [value]]))
  for (const { key, operator, values = [] } of matchExpressions)
    if (operator === 'In' && !demands.has(key)) demands.set(key, [...values])
  return demands
}
