import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { checkTrees, Damage, type Meta, type Tree } from './lmdb-pages.ts'

const magic = 0xbeefc0de
const dataVersion = 2
/** A page begins with this many bytes about itself; in a meta page the meta follows. */
const pageHeader = 24
const metaPage = 0x08
/** Where things stand in a meta. */
const freeTreeAt = 24
const mainTreeAt = 72
const lastPageAt = 120
const transactionAt = 128
const bootAt = 136
const metaSize = 144
/** Bounds of what can be meant: what is beyond them has never been reached. */
const mostTransactions = 2 ** 48
const mostBytes = 2 ** 40
/** The bit among the flags of a meta that says its pages may not have reached the disk. */
const overlappingSync = 0x1000

/** The bits among the flags of a tree that say how its keys and values are kept. */
const kindsOfTree = 0xff
const numberedKeys = 0x08

/**
 * What keeps a file from being a whole LMDB database, or undefined. The library maps the file into memory
 * and trusts it: a wrong one takes the process down instead of raising an error. So every page that the
 * library will follow is looked at first, as one walk over the trees; of large objects only the first bytes.
 */
export function lmdbFileProblem(path: string, boot: bigint | undefined = currentBoot()): string | undefined {
  if (!existsSync(path)) return undefined
  const file = openSync(path, 'r')
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) return 'it is no file'
    if (stat.size === 0) return undefined
    const meta = committedMeta(file, boot)
    checkTrees(file, stat.size, meta)
    return undefined
  } catch (error) {
    if (error instanceof Damage) return error.message
    throw error
  } finally {
    closeSync(file)
  }
}

/**
 * The state the library will go on from: the latest, unless the machine went down since and the latest may
 * not have reached the disk whole; then the one before, or the last that was flushed.
 */
function committedMeta(file: number, boot: bigint | undefined): Meta {
  const first = readMeta(file, 0)
  if (first === undefined) throw new Damage('the file is no database')
  const { pageSize } = first
  const isPowerOfTwo = (pageSize & (pageSize - 1)) === 0
  if (pageSize < 512 || pageSize > 65_536 || !isPowerOfTwo) throw new Damage('page 0 is damaged')
  const second = readMeta(file, pageSize)
  if (second === undefined) throw new Damage('the database is cut off, or page 1 is damaged')
  const flushed = readMeta(file, pageSize / 2, 'unmarked')
  // The library believes parts of each of them, whichever it goes on from.
  for (const meta of [first, second, flushed]) if (meta !== undefined) checkMeta(meta, pageSize)
  return saferOf(saferOf(first, second, boot), flushed, boot)
}

function checkMeta(meta: Meta, pageSize: number): void {
  const isOfKind = (meta.free.flags & kindsOfTree) === numberedKeys && (meta.main.flags & kindsOfTree) === 0
  if (!isOfKind) throw new Damage('it says that its trees are of another kind')
  if (meta.pageSize !== pageSize) throw new Damage('its page size is damaged')
  if (meta.transaction > mostTransactions) throw new Damage('its count of writes is damaged')
  if (meta.lastPage * pageSize > mostBytes) throw new Damage('its count of pages is damaged')
}

function saferOf(one: Meta, two: Meta | undefined, boot: bigint | undefined): Meta {
  if (two === undefined || two.transaction === 0) return one
  const [latest, older] = one.transaction >= two.transaction ? [one, two] : [two, one]
  const isOfThisBoot = boot === undefined || (latest.boot !== 0n && latest.boot === boot)
  return isOfThisBoot || (latest.flags & overlappingSync) === 0 ? latest : older
}

/** The meta in the page at `position`; the last flushed one, in the middle of a page, bears no mark. */
function readMeta(file: number, position: number, kind: 'marked' | 'unmarked' = 'marked'): Meta | undefined {
  const page = Buffer.alloc(pageHeader + metaSize)
  if (readSync(file, page, 0, page.length, position) < page.length) return undefined
  const meta = page.subarray(pageHeader)
  const isMarked =
    meta.readUInt32LE(0) === magic &&
    meta.readUInt16LE(4) === dataVersion &&
    page.readUInt16LE(18) === metaPage
  if (kind === 'marked' && !isMarked) return undefined
  const transaction = Number(meta.readBigUInt64LE(transactionAt))
  if (kind === 'unmarked' && transaction === 0) return undefined
  return {
    pageSize: meta.readUInt32LE(freeTreeAt),
    flags: meta.readUInt16LE(freeTreeAt + 4),
    free: readTree(meta, freeTreeAt),
    main: readTree(meta, mainTreeAt),
    lastPage: Number(meta.readBigUInt64LE(lastPageAt)),
    transaction,
    boot: meta.readBigInt64LE(bootAt),
  }
}

const noPage = 0xffff_ffff_ffff_ffffn

function readTree(meta: Buffer, at: number): Tree {
  const root = meta.readBigUInt64LE(at + 40)
  return {
    flags: meta.readUInt16LE(at + 4),
    depth: meta.readUInt16LE(at + 6),
    branchPages: Number(meta.readBigUInt64LE(at + 8)),
    leafPages: Number(meta.readBigUInt64LE(at + 16)),
    overflowPages: Number(meta.readBigUInt64LE(at + 24)),
    entries: Number(meta.readBigUInt64LE(at + 32)),
    root: root === noPage ? undefined : Number(root),
  }
}

/** What the library takes for the number of this boot; undefined where it cannot be read. */
function currentBoot(): bigint | undefined {
  try {
    return BigInt(`0x${readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8)}`)
  } catch {
    return undefined
  }
}
