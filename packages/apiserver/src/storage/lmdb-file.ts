import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'

const metaPages = 2
const magic = 0xbeefc0de
/** Where things stand in a meta page, counted from its magic number. */
const pageSizeAt = 24
const lastPageAt = 120
const longestHeader = 64

/**
 * What keeps a file from being a whole LMDB database, or undefined. The library maps the file into memory
 * and trusts it, so a wrong one would take the process down instead of raising an error.
 */
export function lmdbFileProblem(path: string): string | undefined {
  if (!existsSync(path)) return undefined
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (size === 0) return undefined
    const head = Buffer.alloc(longestHeader + lastPageAt + 8)
    readSync(file, head, 0, head.length, 0)
    const start = findMagic(head)
    if (start === undefined) return 'the file is no database'
    const pageSize = head.readUInt32LE(start + pageSizeAt)
    if (pageSize < 512 || pageSize > 65_536 || size < metaPages * pageSize) return 'the database is cut off'
    const lastPage = Math.max(lastPageOf(file, start, 0), lastPageOf(file, start, pageSize))
    return (lastPage + 1) * pageSize > size ? 'the database is cut off' : undefined
  } finally {
    closeSync(file)
  }
}

function findMagic(head: Buffer): number | undefined {
  for (let at = 0; at <= longestHeader; at += 4) if (head.readUInt32LE(at) === magic) return at
  return undefined
}

/** The last page in use, as the meta page at `page` has it; 0 if that page is none. */
function lastPageOf(file: number, start: number, page: number): number {
  const bytes = Buffer.alloc(start + lastPageAt + 8)
  readSync(file, bytes, 0, bytes.length, page)
  if (bytes.readUInt32LE(start) !== magic) return 0
  return Number(bytes.readBigUInt64LE(start + lastPageAt))
}
