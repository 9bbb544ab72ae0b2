import { UserError } from '@outrigger/foundation'
import { newestRelease, oldestRelease, type Release } from '@outrigger/kube'

/** Settings that every long-running command has. */
export interface LogSettings {
  readonly loggingFormat: 'text' | 'json'
  readonly verbosity: number
}

/** A whole number in a range. @throws UserError that names the flag. */
export function parseNumber(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new UserError(
      `${flag} ${text} is not a number between ${min} and ${max}`,
      `give one, for example ${flag} ${Math.max(min, 1)}`,
    )
  }
}

/** One of a few words, which the parser also lists, for shells to complete. @throws UserError that names the flag and the words. */
export function parseChoice<T extends string>(
  flag: string,
  choices: readonly T[],
): ((text: string) => T) & { readonly choices: readonly T[] } {
  const parse = (text: string): T => {
    const found = choices.find((choice) => choice === text)
    if (found !== undefined) return found
    throw new UserError(`${flag} ${text} is not known`, `use one of ${choices.join(', ')}`)
  }
  return Object.assign(parse, { choices })
}

/** `A=true,B=false`. @throws UserError. */
export function parseFeatureGates(text: string): Readonly<Record<string, boolean>> {
  const gates: Record<string, boolean> = {}
  for (const part of text.split(',').filter((item) => item !== '')) {
    const [name = '', value = ''] = part.split('=')
    if (name === '' || !['true', 'false'].includes(value)) {
      throw new UserError(
        `--feature-gates ${part} is not of the form Name=true`,
        'for example --feature-gates=SidecarSetServerlessPod=true',
      )
    }
    gates[name] = value === 'true'
  }
  return gates
}

/** `1.29`, or as kube-apiserver takes it `kube=1.29`. @throws UserError that names the releases there are. */
export function parseEmulatedVersion(text: string): Release {
  const minor = Number(/^(?:kube=)?v?1\.(\d{1,3})$/.exec(text)?.[1])
  if (minor >= oldestRelease && minor <= newestRelease) return minor
  throw new UserError(
    `--emulated-version ${text} is not a release the API server can look like`,
    `give one from 1.${oldestRelease} to 1.${newestRelease}`,
  )
}

/** `key=value`; the value may be empty and may hold further signs. @throws UserError that names the flag. */
export function parsePair(flag: string): (text: string) => readonly [key: string, value: string] {
  return (text) => {
    const equals = text.indexOf('=')
    if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)]
    throw new UserError(`${flag} ${text} is not of the form KEY=VALUE`, `for example ${flag} example.com/a=b`)
  }
}

/** Adds a flag's value to those given before. */
export function collect<T>(
  parse: (text: string) => T,
): (text: string, before: readonly T[] | undefined) => readonly T[] {
  return (text, before = []) => [...before, parse(text)]
}
