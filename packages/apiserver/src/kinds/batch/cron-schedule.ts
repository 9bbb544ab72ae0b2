const descriptors = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'])
const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const days = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

interface Bounds {
  readonly min: number
  readonly max: number
  readonly names?: readonly string[]
}

const fields: readonly Bounds[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: months },
  { min: 0, max: 6, names: days },
]

/** Why a text is no cron schedule, in the words of github.com/robfig/cron/v3; undefined when it is one. */
export function scheduleProblem(schedule: string): string | undefined {
  if (schedule.startsWith('@')) {
    if (descriptors.has(schedule)) return undefined
    if (!schedule.startsWith('@every ')) return `unrecognized descriptor: ${schedule}`
    const duration = schedule.slice('@every '.length)
    return /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(duration)
      ? undefined
      : `failed to parse duration ${schedule}: time: invalid duration "${duration}"`
  }
  const parts = schedule.trim().split(/\s+/)
  const withoutZone = /^(CRON_)?TZ=/.test(parts[0] ?? '') ? parts.slice(1) : parts
  if (withoutZone.length !== 5)
    return `expected exactly 5 fields, found ${withoutZone.length}: [${withoutZone.join(' ')}]`
  for (let index = 0; index < fields.length; index++) {
    for (const part of (withoutZone[index] as string).split(',')) {
      const problem = rangeProblem(part, fields[index] as Bounds)
      if (problem !== undefined) return problem
    }
  }
  return undefined
}

function rangeProblem(text: string, bounds: Bounds): string | undefined {
  const [range = '', step, ...more] = text.split('/')
  if (more.length > 0) return `too many slashes: ${text}`
  const [from = '', to, ...rest] = range.split('-')
  if (rest.length > 0) return `too many hyphens: ${text}`
  if (step !== undefined) {
    if (!/^\d+$/.test(step))
      return `failed to parse int from ${step}: strconv.Atoi: parsing "${step}": invalid syntax`
    if (Number(step) === 0) return `step of range should be a positive number: ${text}`
  }
  if (from === '*' || from === '?') return undefined
  const start = numberOf(from, bounds)
  if (typeof start === 'string') return start
  const end = to === undefined ? start : numberOf(to, bounds)
  if (typeof end === 'string') return end
  if (start < bounds.min) return `beginning of range (${start}) below minimum (${bounds.min}): ${text}`
  if (end > bounds.max) return `end of range (${end}) above maximum (${bounds.max}): ${text}`
  if (start > end) return `beginning of range (${start}) beyond end of range (${end}): ${text}`
  return undefined
}

function numberOf(text: string, { names, min }: Bounds): number | string {
  const name = names?.indexOf(text.toLowerCase()) ?? -1
  if (name >= 0) return name + min
  return /^\d+$/.test(text)
    ? Number(text)
    : `failed to parse int from ${text}: strconv.Atoi: parsing "${text}": invalid syntax`
}
