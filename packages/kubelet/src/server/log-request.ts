import { parseTime } from '@outrigger/foundation'

/** What a reader of a log wants, as `GET containerLogs` says it. */
export interface LogRequest {
  /** The last lines only; undefined for all. */
  readonly tailLines: number | undefined
  readonly follow: boolean
  readonly timestamps: boolean
  readonly previous: boolean
  /** Lines from this time on, milliseconds since 1970. */
  readonly since: number | undefined
  readonly limitBytes: number | undefined
  readonly stream: 'stdout' | 'stderr' | undefined
}

/** Reads the query of a log request. @throws RangeError with a sentence for the caller */
export function parseLogRequest(query: URLSearchParams, now: number): LogRequest {
  const number = (name: string, least: number): number | undefined => {
    const text = query.get(name)
    if (text === null || text === '') return undefined
    const value = Number(text)
    if (!Number.isInteger(value) || value < least)
      throw new RangeError(`${name}: must be a whole number from ${least} on`)
    return value
  }
  const sinceSeconds = number('sinceSeconds', 1)
  const sinceText = query.get('sinceTime')
  if (sinceSeconds !== undefined && sinceText) {
    throw new RangeError('at most one of `sinceTime` or `sinceSeconds` may be specified')
  }
  const sinceTime = sinceText ? parseTime(sinceText) : undefined
  if (sinceTime !== undefined && Number.isNaN(sinceTime)) throw new RangeError('sinceTime: is not a time')
  const stream = query.get('stream')
  return {
    tailLines: number('tailLines', 0),
    follow: isSet(query.get('follow')),
    timestamps: isSet(query.get('timestamps')),
    previous: isSet(query.get('previous')),
    since: sinceSeconds === undefined ? sinceTime : now - sinceSeconds * 1000,
    limitBytes: number('limitBytes', 1),
    stream: stream === 'Stdout' ? 'stdout' : stream === 'Stderr' ? 'stderr' : undefined,
  }
}

const isSet = (text: string | null): boolean => text === 'true' || text === '1'
