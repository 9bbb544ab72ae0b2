export interface Progress {
  /** How far things are, at most `total`. */
  readonly done: number
  readonly total: number
}

/** `[#####-----] 3 of 6`: full only when everything is done, empty only when nothing is. */
export function formatProgressBar({ done, total }: Progress, width = 24): string {
  const share = total === 0 ? 1 : Math.min(1, Math.max(0, done / total))
  const exact = Math.floor(share * width)
  const filled = share > 0 && exact === 0 ? 1 : exact
  return `[${'#'.repeat(filled)}${'-'.repeat(width - filled)}] ${done} of ${total}`
}

const widestBar = 24
const narrowestBar = 4

/** A bar and what stands behind it, in at most `width` characters: a shorter bar, then less of the words. */
export function formatProgressLine(progress: Progress, note: string, width: number): string {
  const words = formatProgressBar(progress, narrowestBar).length - narrowestBar + 1 + note.length
  const bar = Math.min(widestBar, Math.max(narrowestBar, width - words))
  return `${formatProgressBar(progress, bar)} ${note}`.slice(0, Math.max(0, width))
}
