import {
  goJson,
  isNativeSidecar,
  podAnnotations,
  podContainerNames,
  revisionName,
  type SidecarSet,
  sidecarSetAnnotations,
} from '@outrigger/api'
import { isRecord } from '@outrigger/kube'
import { InjectionFailure } from './injection-failure.ts'

type Annotations = Readonly<Record<string, string>>

/** What a pod's annotation says about one SidecarSet injected into it. */
export interface InjectionRecord {
  /** RFC 3339; `null` in records of very old managers. */
  readonly updateTimestamp: string | null
  readonly hash: string
  readonly sidecarSetName: string
  /** `null` in records of very old managers. */
  readonly sidecarList: readonly string[] | null
  readonly controllerRevision?: string
}

/**
 * All annotations that record an injection of these SidecarSets and everything they bring: those of
 * `recordAnnotations` and those of `hotUpgradeAnnotations`.
 *
 * @throws InjectionFailure when a record that is there cannot be read.
 */
export function injectionAnnotations(
  annotations: Annotations,
  sidecarSets: readonly SidecarSet[],
  time: string,
): Record<string, string> {
  const pairs = sidecarSets.flatMap(({ spec }) =>
    (['containers', 'initContainers'] as const).flatMap((list) =>
      (spec[list] ?? []).filter((sidecar) => podContainerNames(sidecar, list).length > 1),
    ),
  )
  return {
    ...recordAnnotations(annotations, sidecarSets, time),
    ...hotUpgradeAnnotations(annotations, new Set(pairs.map(({ name }) => name))),
  }
}

/**
 * What was injected of these SidecarSets. Entries of other SidecarSets stay; an entry that says the
 * same as before keeps its time, so that injecting again changes nothing.
 *
 * @throws InjectionFailure when a record that is there cannot be read.
 */
export function recordAnnotations(
  annotations: Annotations,
  sidecarSets: readonly SidecarSet[],
  time: string,
): Record<string, string> {
  const written: Record<string, string> = {}
  for (const key of [podAnnotations.hash, podAnnotations.hashWithoutImage] as const) {
    const records = parseRecords(annotations[key])
    if (records === undefined) throw new InjectionFailure(`metadata.annotations[${key}]`, 'is not a JSON map')
    if (records.size === 0) {
      written[key] = firstRecords(sidecarSets, key, time)
      continue
    }
    for (const sidecarSet of sidecarSets) {
      const record = recordOf(sidecarSet, key, time)
      const before = records.get(record.sidecarSetName)
      const isSame =
        before !== undefined && formatRecord({ ...before, updateTimestamp: time }) === formatRecord(record)
      if (!isSame) records.set(record.sidecarSetName, record)
    }
    written[key] = formatRecords(records)
  }
  const names = new Set(annotations[podAnnotations.injectedList]?.split(',').filter(Boolean))
  for (const { metadata } of sidecarSets) names.add(metadata.name)
  written[podAnnotations.injectedList] = [...names].sort().join(',')
  return written
}

type RecordKey = typeof podAnnotations.hash | typeof podAnnotations.hashWithoutImage

/** What is printed for a SidecarSet object in a pod that had no records, before and after the time. */
const printed = new WeakMap<SidecarSet, Map<RecordKey, readonly [before: string, after: string]>>()

/** The map of a pod that had none. Only the time differs from pod to pod. */
function firstRecords(sidecarSets: readonly SidecarSet[], key: RecordKey, time: string): string {
  const shown = quote(time)
  const entries = sidecarSets.map((sidecarSet) => {
    const [before, after] = printedOf(sidecarSet, key)
    return before + shown + after
  })
  // Sorted by name: the names are what the entries begin with, and no name contains what follows it.
  return `{${entries.sort().join(',')}}`
}

function printedOf(sidecarSet: SidecarSet, key: RecordKey): readonly [before: string, after: string] {
  const known = printed.get(sidecarSet) ?? new Map<RecordKey, readonly [string, string]>()
  if (known.size === 0) printed.set(sidecarSet, known)
  const found = known.get(key)
  if (found !== undefined) return found
  const record = recordOf(sidecarSet, key, '')
  const parts = [`${quote(record.sidecarSetName)}:${beforeTime}`, afterTime(record)] as const
  known.set(key, parts)
  return parts
}

function recordOf(sidecarSet: SidecarSet, key: string, time: string): InjectionRecord {
  const isFull = key === podAnnotations.hash
  const { metadata } = sidecarSet
  return {
    updateTimestamp: time,
    hash:
      metadata.annotations?.[isFull ? sidecarSetAnnotations.hash : sidecarSetAnnotations.hashWithoutImage] ??
      '',
    sidecarSetName: metadata.name,
    sidecarList: sidecarNames(sidecarSet),
    ...(isFull && { controllerRevision: revisionNameOf(sidecarSet) }),
  }
}

/** Names a SidecarSet's containers go by in records: hot-upgrade ones once, plain init containers not at all. */
function sidecarNames({ spec }: SidecarSet): string[] {
  const natives = (spec.initContainers ?? []).filter(isNativeSidecar)
  return [...(spec.containers ?? []), ...natives].map(({ name }) => name).sort()
}

const revisionNames = new WeakMap<SidecarSet, string>()

/** Name of the revision that records a SidecarSet's present content; remembered, since every injected pod asks. */
export function revisionNameOf(sidecarSet: SidecarSet): string {
  const known = revisionNames.get(sidecarSet)
  if (known !== undefined) return known
  const name = revisionName(sidecarSet.metadata.name, sidecarSet.spec, sidecarSet.status?.collisionCount ?? 0)
  revisionNames.set(sidecarSet, name)
  return name
}

/** Says by which name the content of this SidecarSet object is recorded, where that cannot be computed. */
export function rememberRevisionName(sidecarSet: SidecarSet, name: string): void {
  revisionNames.set(sidecarSet, name)
  printed.delete(sidecarSet)
}

function formatRecord(record: InjectionRecord): string {
  return `${beforeTime}${quote(record.updateTimestamp)}${afterTime(record)}`
}

const beforeTime = '{"updateTimestamp":'

function afterTime({ hash, sidecarSetName, sidecarList, controllerRevision }: InjectionRecord): string {
  const list = sidecarList ? `[${sidecarList.map(quote).join(',')}]` : 'null'
  const revision = controllerRevision && `,"controllerRevision":${quote(controllerRevision)}`
  return `,"hash":${quote(hash)},"sidecarSetName":${quote(sidecarSetName)},"sidecarList":${list}${revision || ''}}`
}

/** Names and hashes, which are most of what is printed for every pod, need no encoder. */
function quote(text: string | null): string {
  return text !== null && /^[\w.:/+=-]*$/.test(text) ? `"${text}"` : goJson(text)
}

/** A map as Go prints it: keys in bytewise order. */
function formatRecords(records: ReadonlyMap<string, InjectionRecord>): string {
  const entries = [...records].sort(([left], [right]) => (left < right ? -1 : 1))
  return `{${entries.map(([name, record]) => `${quote(name)}:${formatRecord(record)}`).join(',')}}`
}

/**
 * What one of the two hash annotations says, by SidecarSet. Reads the older form, name to hash, too.
 * `undefined` when the text is neither; an absent annotation is an empty map.
 */
export function parseRecords(text: string | undefined): Map<string, InjectionRecord> | undefined {
  const records = new Map<string, InjectionRecord>()
  if (!text) return records
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isRecord(value)) return undefined
  for (const [name, entry] of Object.entries(value)) {
    const record = parseRecord(name, entry)
    if (record === undefined) return undefined
    records.set(name, record)
  }
  return records
}

function parseRecord(name: string, entry: unknown): InjectionRecord | undefined {
  const asText = (value: unknown) => (typeof value === 'string' ? value : '')
  if (typeof entry === 'string')
    return { updateTimestamp: null, hash: entry, sidecarSetName: name, sidecarList: null }
  if (!isRecord(entry)) return undefined
  const { updateTimestamp, hash, sidecarList, controllerRevision } = entry
  return {
    updateTimestamp: asText(updateTimestamp) || null,
    hash: asText(hash),
    sidecarSetName: name,
    sidecarList: Array.isArray(sidecarList) ? sidecarList.filter((item) => typeof item === 'string') : null,
    ...(asText(controllerRevision) !== '' && { controllerRevision: asText(controllerRevision) }),
  }
}

/**
 * The annotations of hot upgrades that begin with these pairs: the first container works, the second is empty, whatever a
 * copied pod says of another. A map that cannot be read is begun anew, as in OpenKruise.
 */
export function hotUpgradeAnnotations(
  annotations: Annotations,
  pairs: ReadonlySet<string>,
): Record<string, string> {
  if (pairs.size === 0) return {}
  const written: Record<string, string> = {}
  const key = podAnnotations.workingHotUpgradeContainer
  const working = parseTextMap(annotations[key])
  for (const name of pairs) {
    working.set(name, `${name}-1`)
    for (const [which, version, alternative] of [
      ['1', '1', '0'],
      ['2', '0', '1'],
    ] as const) {
      written[`${podAnnotations.versionPrefix}${name}-${which}`] = version
      written[`${podAnnotations.versionAltPrefix}${name}-${which}`] = alternative
    }
  }
  const entries = [...working].sort(([left], [right]) => (left < right ? -1 : 1))
  written[key] = `{${entries.map(([name, container]) => `${goJson(name)}:${goJson(container)}`).join(',')}}`
  return written
}

function parseTextMap(text: string | undefined): Map<string, string> {
  if (!text) return new Map()
  try {
    const value: unknown = JSON.parse(text)
    if (isRecord(value) && Object.values(value).every((entry) => typeof entry === 'string'))
      return new Map(Object.entries(value as Record<string, string>))
  } catch {
    // It is no JSON: nobody knows what it meant.
  }
  return new Map()
}
