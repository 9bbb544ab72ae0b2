import type { Event, EventsEvent, KubeObject } from '@outrigger/kube'
import { ageSince } from '../human-duration.ts'
import { type Cell, cellsOf, nameCell } from './cell.ts'

/** What both views of an event say, under the names of the core one. */
interface EventView {
  readonly first: string | null | undefined
  readonly last: string | null | undefined
  readonly count: number
  readonly type: string
  readonly reason: string
  readonly message: string
  readonly source: { readonly component?: string; readonly host?: string } | undefined
  readonly regarding: { readonly kind?: string; readonly name?: string; readonly fieldPath?: string }
}

function viewOf(object: KubeObject): EventView {
  const core = object as Event
  const events = object as EventsEvent
  const isCore = core.involvedObject !== undefined
  const first = (isCore ? core.firstTimestamp : events.deprecatedFirstTimestamp) ?? core.eventTime
  const series = core.series as { count?: number; lastObservedTime?: string } | undefined
  const last =
    series?.lastObservedTime ?? (isCore ? core.lastTimestamp : events.deprecatedLastTimestamp) ?? first
  const source = isCore ? core.source : events.deprecatedSource
  return {
    first,
    last,
    count: series?.count ?? (isCore ? core.count : events.deprecatedCount) ?? 1,
    type: core.type ?? '',
    reason: core.reason ?? '',
    message: ((isCore ? core.message : events.note) ?? '').trim(),
    source: source?.component
      ? source
      : {
          ...(isCore
            ? core.reportingComponent && { component: core.reportingComponent }
            : events.reportingController && { component: events.reportingController }),
          ...(core.reportingInstance ? { host: core.reportingInstance } : {}),
        },
    regarding: (isCore ? core.involvedObject : events.regarding) ?? {},
  }
}

const stamp = (time: string | null | undefined, now: number) => (time ? ageSince(time, now) : '<unknown>')

const sourceCell: Cell = (object) => {
  const { source } = viewOf(object)
  return [source?.component, source?.host].filter((part) => part !== undefined && part !== '').join(', ')
}

export const eventCells = cellsOf(
  (object, now) => stamp(viewOf(object).last, now),
  (object) => viewOf(object).type,
  (object) => viewOf(object).reason,
  (object) => {
    const { kind = '', name = '' } = viewOf(object).regarding
    return name === '' ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`
  },
  (object) => viewOf(object).regarding.fieldPath ?? '',
  sourceCell,
  (object) => viewOf(object).message,
  (object, now) => stamp(viewOf(object).first, now),
  (object) => viewOf(object).count,
  nameCell,
)
