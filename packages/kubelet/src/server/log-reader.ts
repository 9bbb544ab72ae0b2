import { basename, dirname, join } from 'node:path'
import { parseTime } from '@outrigger/foundation'
import type { PodFiles } from '../runtime.ts'
import { type CriLine, parseCriLine, splitLines } from './cri-log.ts'
import type { LogRequest } from './log-request.ts'

export interface LogSource {
  readonly files: PodFiles
  readonly path: string
  /** Whether the container may still write. Asked when the end of the file is reached. */
  readonly isAlive: () => boolean
  /** Calls back when `isAlive` may have changed. Returns a function that ends this. */
  readonly onChange: (listener: () => void) => () => void
}

/** Longest piece of one line kept in memory; a longer line is passed on in pieces. */
const maxPending = 256 * 1024

/**
 * The text of a container's log as pieces, in the order in which it was written.
 *
 * Follows until the container has ended and all it wrote was read, or the signal aborts. A log that is
 * rotated meanwhile is read to its end before the fresh file is begun.
 */
export async function* readLog(
  source: LogSource,
  request: LogRequest,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let budget = request.limitBytes ?? Number.POSITIVE_INFINITY
  let isAtLineStart = true
  const render = function* (line: CriLine): Generator<Buffer> {
    if (request.stream !== undefined && line.stream !== request.stream) return
    if (request.since !== undefined && parseTime(line.time) < request.since) return
    const head = request.timestamps && isAtLineStart ? [Buffer.from(`${line.time} `)] : []
    const tail = line.isPartial ? [] : [Buffer.from('\n')]
    isAtLineStart = !line.isPartial
    const piece = Buffer.concat([...head, line.text, ...tail]).subarray(0, Math.min(budget, 2 ** 31))
    budget -= piece.length
    if (piece.length > 0) yield piece
  }
  const start = await tailOffset(source, request)
  for await (const line of rawLines(source, start, request.follow, signal)) {
    const parsed = parseCriLine(line)
    if (parsed !== undefined) yield* render(parsed)
    if (budget <= 0) return
  }
}

/** Where the last lines begin, found by reading backwards in growing pieces. */
async function tailOffset(source: LogSource, request: LogRequest): Promise<number> {
  const { tailLines } = request
  if (tailLines === undefined) return 0
  for (let size = 64 * 1024; ; size *= 8) {
    const piece = await source.files.readTail(source.path, size)
    if (piece === undefined) return 0
    const total = (await source.files.size(source.path)) ?? piece.length
    const found = nthLastLine(piece, tailLines)
    // Lines written between the two questions only make the tail a little longer.
    if (found !== undefined) return Math.max(0, total - piece.length) + found
    if (piece.length < size) return 0
  }
}

/** Where the n-th last complete record begins; pieces of one long line count as one. */
function nthLastLine(piece: Buffer, count: number): number | undefined {
  if (count === 0) return piece.length
  const starts: number[] = []
  let position = 0
  let isContinuation = false
  const { lines } = splitLines(piece)
  for (const line of lines) {
    if (!isContinuation) starts.push(position)
    isContinuation = parseCriLine(line)?.isPartial === true
    position += line.length + 1
  }
  return starts.length > count ? starts[starts.length - count] : undefined
}

/** Whole lines from an offset on; follows rotation. */
async function* rawLines(
  source: LogSource,
  offset: number,
  follow: boolean,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let position = offset
  let pending = Buffer.alloc(0)
  while (!signal.aborted) {
    const wasAlive = source.isAlive()
    const change = follow && wasAlive ? nextChange(source, signal) : undefined
    const chunk = await source.files.read(source.path, position)
    if (chunk !== undefined && chunk.length > 0) {
      change?.cancel()
      position += chunk.length
      const { lines, rest } = splitLines(pending.length === 0 ? chunk : Buffer.concat([pending, chunk]))
      yield* lines
      pending = Buffer.from(rest)
      if (pending.length > maxPending) pending = Buffer.alloc(0)
      continue
    }
    if (position > 0 && follow && (await isFresh(source, position))) {
      change?.cancel()
      const last = await readRest(await rotatedName(source), source, position)
      yield* splitLines(Buffer.concat([pending, last])).lines
      position = 0
      pending = Buffer.alloc(0)
      continue
    }
    if (change === undefined) return
    await change.happened
  }
}

/** The file that our log was renamed to last. */
async function rotatedName(source: LogSource): Promise<string | undefined> {
  const names = await source.files.list(dirname(source.path))
  const name = names.filter((each) => each.startsWith(`${basename(source.path)}.`)).at(-1)
  return name === undefined ? undefined : join(dirname(source.path), name)
}

async function readRest(path: string | undefined, source: LogSource, from: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  for (let position = from; path !== undefined; ) {
    const chunk = await source.files.read(path, position)
    if (chunk === undefined || chunk.length === 0) break
    chunks.push(chunk)
    position += chunk.length
  }
  return Buffer.concat(chunks)
}

/** Whether the file was replaced by a shorter one: nothing stands before where we are. */
async function isFresh(source: LogSource, position: number): Promise<boolean> {
  const before = await source.files.read(source.path, position - 1)
  return before === undefined || before.length === 0
}

function nextChange(
  source: LogSource,
  signal: AbortSignal,
): { readonly happened: Promise<void>; readonly cancel: () => void } {
  let finish = () => {}
  const happened = new Promise<void>((resolve) => {
    const stops = [source.files.watch(source.path, () => finish()), source.onChange(() => finish())]
    const onAbort = () => finish()
    signal.addEventListener('abort', onAbort, { once: true })
    finish = () => {
      for (const stop of stops) stop()
      signal.removeEventListener('abort', onAbort)
      resolve()
    }
  })
  return { happened, cancel: () => finish() }
}
