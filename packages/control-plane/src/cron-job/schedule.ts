import { wallTimeIn } from './wall-time.ts'

const minute = 60_000

interface Field {
  readonly min: number
  readonly max: number
  readonly names?: readonly string[]
}

const fields: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  {
    min: 1,
    max: 12,
    names: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  },
  { min: 0, max: 6, names: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] },
]

const shorthands: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

/** When a CronJob runs. */
export interface Schedule {
  /**
   * The first time after `after`, both in milliseconds since 1970; undefined when there is none within
   * five years, as for 30 February.
   */
  next(after: number): number | undefined
}

/**
 * A standard cron expression of five fields, a shorthand such as `@daily`, or `@every` with a
 * duration, in an IANA time zone (UTC when undefined). Undefined when the text is none or the zone is
 * not known. As in github.com/robfig/cron, day of month and day of week are alternatives when both
 * are given, a time that daylight saving skips does not happen, and one it repeats happens twice.
 */
export function parseSchedule(text: string, zone: string | undefined): Schedule | undefined {
  const toWall = wallTimeIn(zone ?? 'UTC')
  if (toWall === undefined) return undefined
  const trimmed = text.trim()
  if (trimmed.startsWith('@every ')) return everySchedule(trimmed.slice('@every '.length).trim())
  const parts = (shorthands[trimmed.toLowerCase()] ?? trimmed).split(/\s+/)
  if (parts.length !== fields.length) return undefined
  const sets = parts.map((part, index) => parseField(part, fields[index] as Field))
  const [minutes, hours, days, months, weekdays] = sets
  if (!minutes || !hours || !days || !months || !weekdays) return undefined
  const isFree = (part = '') => part.split(',').some((each) => /^[*?](\/1)?$/.test(each))
  const eitherDay = !isFree(parts[2]) && !isFree(parts[4])
  return {
    next(after) {
      const limit = after + 5 * 366 * 24 * 60 * minute
      let at = (Math.floor(after / minute) + 1) * minute
      while (at < limit) {
        const wall = toWall(at)
        const fitsDay = days.has(wall.day)
        const fitsWeekday = weekdays.has(wall.weekday)
        const isDay = months.has(wall.month) && (eitherDay ? fitsDay || fitsWeekday : fitsDay && fitsWeekday)
        if (!isDay) at += untilNextHour(wall.minute) + (wall.hour < 22 ? (22 - wall.hour) * 60 * minute : 0)
        else if (!hours.has(wall.hour)) at += untilNextHour(wall.minute)
        else if (!minutes.has(wall.minute)) at += minute
        else return at
      }
      return undefined
    },
  }
}

/** A leap that cannot pass over the start of a day even when the clocks change on the way. */
const untilNextHour = (now: number): number => (60 - now) * minute

function everySchedule(text: string): Schedule | undefined {
  const units: Readonly<Record<string, number>> = { h: 3_600_000, m: minute, s: 1_000, ms: 1 }
  if (!/^(\d+(\.\d+)?(h|ms|m|s))+$/.test(text)) return undefined
  let every = 0
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(h|ms|m|s)/g))
    every += Number(amount) * (units[unit ?? ''] ?? 0)
  const step = Math.max(1_000, Math.floor(every / 1_000) * 1_000)
  return { next: (after) => Math.floor(after / 1_000) * 1_000 + step }
}

/** The values of one field; undefined when the text makes no sense. */
function parseField(text: string, field: Field): ReadonlySet<number> | undefined {
  const values = new Set<number>()
  for (const part of text.split(',')) {
    const match = /^(\*|\?|[a-z0-9]+)(?:-([a-z0-9]+))?(?:\/(\d+))?$/i.exec(part)
    if (match === null) return undefined
    const [, from = '', to, stepText] = match
    const step = stepText === undefined ? 1 : Number(stepText)
    const isAny = from === '*' || from === '?'
    const first = isAny ? field.min : numberIn(from, field)
    // `5/15` means from 5 to the end.
    const last =
      isAny || (to === undefined && stepText !== undefined) ? field.max : numberIn(to ?? from, field)
    if (first === undefined || last === undefined || step < 1) return undefined
    if (first < field.min || last > field.max || first > last) return undefined
    for (let value = first; value <= last; value += step) values.add(value)
  }
  return values
}

function numberIn(text: string, { names, min }: Field): number | undefined {
  const named = names?.indexOf(text.toLowerCase()) ?? -1
  if (named >= 0) return named + min
  return /^\d{1,4}$/.test(text) ? Number(text) : undefined
}
