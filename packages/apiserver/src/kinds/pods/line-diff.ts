interface Match {
  readonly left: number
  readonly right: number
  readonly size: number
}

const context = 3

/**
 * The difference of two texts as hunks with three lines of context, without file names: what kube-apiserver
 * appends to refusals of updates. Finds the longest common run of lines first and goes on on both sides of it
 * (Ratcliff and Obershelp), so that the hunks are the same as upstream's. For error paths: quadratic in lines.
 */
export function lineDiff(left: string, right: string): string {
  const before = left.split('\n')
  const after = right.split('\n')
  const out: string[] = []
  for (const hunk of hunksOf(matchesOf(before, after))) {
    const [first, last] = [hunk[0], hunk[hunk.length - 1]] as [Change, Change]
    out.push(
      `@@ -${first.left + 1},${last.leftEnd - first.left} +${first.right + 1},${last.rightEnd - first.right} @@`,
    )
    for (const { isSame, left: from, leftEnd, right: into, rightEnd } of hunk) {
      if (isSame) for (const line of before.slice(from, leftEnd)) out.push(` ${line}`)
      else {
        for (const line of before.slice(from, leftEnd)) out.push(`-${line}`)
        for (const line of after.slice(into, rightEnd)) out.push(`+${line}`)
      }
    }
  }
  return out.length === 0 ? '' : `${out.join('\n')}\n`
}

interface Change {
  readonly isSame: boolean
  readonly left: number
  readonly leftEnd: number
  readonly right: number
  readonly rightEnd: number
}

function matchesOf(before: readonly string[], after: readonly string[]): Match[] {
  const places = new Map<string, number[]>()
  after.forEach((line, index) => {
    const known = places.get(line)
    if (known === undefined) places.set(line, [index])
    else known.push(index)
  })
  const found: Match[] = []
  const search = (left: number, leftEnd: number, right: number, rightEnd: number): void => {
    const match = longestMatch(before, places, left, leftEnd, right, rightEnd)
    if (match.size === 0) return
    search(left, match.left, right, match.right)
    found.push(match)
    search(match.left + match.size, leftEnd, match.right + match.size, rightEnd)
  }
  search(0, before.length, 0, after.length)
  found.push({ left: before.length, right: after.length, size: 0 })
  return found
}

function longestMatch(
  before: readonly string[],
  places: ReadonlyMap<string, readonly number[]>,
  left: number,
  leftEnd: number,
  right: number,
  rightEnd: number,
): Match {
  let best: Match = { left, right, size: 0 }
  let runs = new Map<number, number>()
  for (let index = left; index < leftEnd; index++) {
    const next = new Map<number, number>()
    for (const place of places.get(before[index] as string) ?? []) {
      if (place < right) continue
      if (place >= rightEnd) break
      const size = (runs.get(place - 1) ?? 0) + 1
      next.set(place, size)
      if (size > best.size) best = { left: index - size + 1, right: place - size + 1, size }
    }
    runs = next
  }
  return best
}

/** Changes with their context, those close to each other in one hunk. */
function hunksOf(matches: readonly Match[]): Change[][] {
  const changes: Change[] = []
  let left = 0
  let right = 0
  for (const match of matches) {
    if (match.left > left || match.right > right)
      changes.push({ isSame: false, left, leftEnd: match.left, right, rightEnd: match.right })
    left = match.left + match.size
    right = match.right + match.size
    if (match.size > 0)
      changes.push({ isSame: true, left: match.left, leftEnd: left, right: match.right, rightEnd: right })
  }
  const hunks: Change[][] = []
  let hunk: Change[] = []
  changes.forEach((change, index) => {
    if (!change.isSame) {
      hunk.push(change)
      return
    }
    const length = change.leftEnd - change.left
    const isFirst = index === 0
    const isLast = index === changes.length - 1
    if (!isFirst && !isLast && length <= 2 * context) {
      hunk.push(change)
      return
    }
    if (!isFirst) {
      hunk.push(head(change))
      hunks.push(hunk)
      hunk = []
    }
    if (!isLast) hunk.push(tail(change))
  })
  if (hunk.some(({ isSame }) => !isSame)) hunks.push(hunk)
  return hunks
}

function head({ left, right, leftEnd, rightEnd }: Change): Change {
  return {
    isSame: true,
    left,
    right,
    leftEnd: Math.min(left + context, leftEnd),
    rightEnd: Math.min(right + context, rightEnd),
  }
}

function tail({ left, right, leftEnd, rightEnd }: Change): Change {
  return {
    isSame: true,
    left: Math.max(leftEnd - context, left),
    right: Math.max(rightEnd - context, right),
    leftEnd,
    rightEnd,
  }
}
