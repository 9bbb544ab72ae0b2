import picocolors from 'picocolors'
import type { Environment } from '../environment.ts'

/** The few colors our output knows; each returns its text unchanged where nobody would see colors. */
export interface Paint {
  added(text: string): string
  removed(text: string): string
  heading(text: string): string
  faint(text: string): string
  warning(text: string): string
}

/** Colors on a terminal that understands them, and not if `NO_COLOR` is set (no-color.org). */
export function paintFor(environment: Pick<Environment, 'isTerminal' | 'variables'>): Paint {
  return createPaint(obeysCommands(environment) && !environment.variables['NO_COLOR'])
}

/** Whether a person looks at a terminal that does more than print: some editors and serial lines say they cannot. */
export function obeysCommands({
  isTerminal,
  variables,
}: Pick<Environment, 'isTerminal' | 'variables'>): boolean {
  return isTerminal && variables['TERM'] !== 'dumb'
}

export function createPaint(isColored: boolean): Paint {
  const colors = picocolors.createColors(isColored)
  return {
    added: colors.green,
    removed: colors.red,
    heading: colors.bold,
    faint: colors.dim,
    warning: colors.yellow,
  }
}
