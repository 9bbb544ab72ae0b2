import type { KubeObject } from '@outrigger/kube'
import { ageSince } from '../human-duration.ts'

/** What one column shows of an object; `now` is milliseconds since 1970. */
export type Cell<T extends KubeObject = KubeObject> = (
  object: T,
  now: number,
) => string | number | boolean | null

/** Cells of a kind in the order of its columns. */
export type Cells = readonly Cell[]

/** Forgets which kind cells are about; a table only ever hands them that kind. */
export function cellsOf<T extends KubeObject>(...cells: readonly Cell<T>[]): Cells {
  return cells as unknown as Cells
}

export const nameCell: Cell = (object) => object.metadata.name ?? ''
export const ageCell: Cell = (object, now) => ageSince(object.metadata.creationTimestamp, now)
/** The stamp itself, which kubectl turns into an age. */
export const createdCell: Cell = (object) => object.metadata.creationTimestamp ?? null

export const orNone = (text: string | undefined): string =>
  text === undefined || text === '' ? '<none>' : text
export const orUnset = (text: string | undefined): string =>
  text === undefined || text === '' ? '<unset>' : text
