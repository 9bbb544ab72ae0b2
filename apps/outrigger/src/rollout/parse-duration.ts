import { UserError } from '@outrigger/foundation'

const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Milliseconds of a duration as kubectl takes it: `90s`, `1m30s`, `0`. @throws UserError that names the flag. */
export function parseDuration(flag: string): (text: string) => number {
  return (text) => {
    if (text === '0') return 0
    if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text))
      throw new UserError(`${flag} ${text} is not a duration`, `give one such as ${flag} 90s`)
    return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
      (sum, [, amount, unit = 's']) => sum + Number(amount) * (units[unit] ?? 0),
      0,
    )
  }
}
