import { formatTime, parseTime, UserError } from '@outrigger/foundation'

/** An RFC 3339 time in whole seconds, in UTC. @throws UserError */
export function parseInstant(text: string): string {
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text) ? parseTime(text) : Number.NaN
  if (Number.isNaN(time))
    throw new UserError(`--time ${text} is not a time`, 'write it as in 2026-01-02T03:04:05Z')
  return formatTime(time)
}
