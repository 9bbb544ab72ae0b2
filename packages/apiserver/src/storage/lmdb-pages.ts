import { readSync } from 'node:fs'

/** One tree of pages, as a meta has it. */
export interface Tree {
  readonly flags: number
  readonly depth: number
  readonly branchPages: number
  readonly leafPages: number
  readonly overflowPages: number
  readonly entries: number
  /** Undefined for an empty tree. */
  readonly root: number | undefined
}

/** A state of the database that was committed. */
export interface Meta {
  readonly pageSize: number
  readonly flags: number
  readonly free: Tree
  readonly main: Tree
  readonly lastPage: number
  readonly transaction: number
  readonly boot: bigint
}

/** What is wrong with a database, as a clause. */
export class Damage extends Error {
  override readonly name = 'Damage'
}

const pageHeader = 24
const nodeHeader = 8
const metaPages = 2
/** The library follows trees no deeper. */
const deepest = 32

const branchPage = 0x01
const leafPage = 0x02
const overflowPage = 0x04
/** Kinds of pages; other bits are about memory. */
const kinds = 0x7f
/** A value that lies on pages of its own. */
const bigData = 0x01

interface Node {
  readonly at: number
  readonly flags: number
  readonly key: Buffer
}

interface Walk {
  readonly name: 'free' | 'main'
  readonly tree: Tree
  branchPages: number
  leafPages: number
  overflowPages: number
  entries: number
  last: Buffer | undefined
}

/**
 * Walks over the tree of free pages and the tree of values, and throws Damage where something is not as the
 * library writes it: page numbers, kinds, sizes, the order of keys, counts, pages in use that count as free.
 */
export function checkTrees(file: number, size: number, meta: Meta): void {
  new TreeCheck(file, size, meta).run()
}

class TreeCheck {
  readonly #file: number
  readonly #meta: Meta
  /** How many whole pages the file has. Free ones at its end may be missing. */
  readonly #pages: number
  readonly #used: Uint8Array
  readonly #freeLists: Buffer[] = []

  constructor(file: number, size: number, meta: Meta) {
    this.#file = file
    this.#meta = meta
    this.#pages = Math.floor(size / meta.pageSize)
    this.#used = new Uint8Array(this.#pages)
    this.#used.fill(1, 0, metaPages)
  }

  run(): void {
    this.#walk('free', this.#meta.free)
    this.#walk('main', this.#meta.main)
    for (const list of this.#freeLists) this.#checkFreeList(list)
  }

  #walk(name: Walk['name'], tree: Tree): void {
    const walk: Walk = {
      name,
      tree,
      branchPages: 0,
      leafPages: 0,
      overflowPages: 0,
      entries: 0,
      last: undefined,
    }
    if (tree.depth > deepest) throw new Damage('the depth of a tree is damaged')
    if (tree.root !== undefined) this.#page(walk, tree.root, 1)
    else if (tree.depth !== 0) throw new Damage('the root of a tree is missing')
    const isCounted =
      walk.branchPages === tree.branchPages &&
      walk.leafPages === tree.leafPages &&
      walk.overflowPages === tree.overflowPages &&
      walk.entries === tree.entries
    if (!isCounted) throw new Damage('its counts do not match what is there')
  }

  #page(walk: Walk, number: number, depth: number): void {
    const page = this.#read(number, this.#meta.pageSize)
    this.#take(number, 1)
    const isLeaf = depth === walk.tree.depth
    if (depth > walk.tree.depth) throw damaged(number)
    if ((page.readUInt16LE(18) & kinds) !== (isLeaf ? leafPage : branchPage)) throw damaged(number)
    const nodes = this.#nodes(page, number)
    if (isLeaf) {
      walk.leafPages++
      walk.entries += nodes.length
      for (const node of nodes) this.#leaf(walk, page, number, node)
      return
    }
    walk.branchPages++
    if (nodes.length < 2) throw damaged(number)
    nodes.forEach((node, index) => {
      this.#checkOrder(walk, number, index === 0 ? undefined : node.key)
      const child = page.readUInt32LE(node.at) + node.flags * 2 ** 32
      const before = walk.last
      this.#page(walk, child, depth + 1)
      if (walk.last === before) throw damaged(child)
    })
  }

  /** The nodes of a page; the free space between them and their index is never looked at. */
  #nodes(page: Buffer, number: number): Node[] {
    const lower = page.readUInt16LE(20)
    const upper = page.readUInt16LE(22)
    const room = page.length - pageHeader
    if (lower > upper || upper > room || lower % 2 !== 0) throw damaged(number)
    const nodes: Node[] = []
    for (let index = 0; index < lower / 2; index++) {
      const offset = page.readUInt16LE(pageHeader + 2 * index)
      const at = pageHeader + offset
      if (offset < upper || offset % 2 !== 0 || at + nodeHeader > page.length) throw damaged(number)
      const start = at + nodeHeader
      const end = start + page.readUInt16LE(at + 6)
      if (end > page.length) throw damaged(number)
      nodes.push({ at, flags: page.readUInt16LE(at + 4), key: page.subarray(start, end) })
    }
    return nodes
  }

  #leaf(walk: Walk, page: Buffer, number: number, { at, flags, key }: Node): void {
    this.#checkOrder(walk, number, key)
    if (key.length === 0 || (walk.name === 'free' && key.length !== 8)) throw damaged(number)
    walk.last = key
    if ((flags & ~bigData) !== 0) throw damaged(number)
    const size = page.readUInt32LE(at)
    const start = at + nodeHeader + key.length
    if ((flags & bigData) === 0) {
      if (start + size > page.length) throw damaged(number)
      if (walk.name === 'free') this.#freeLists.push(page.subarray(start, start + size))
      return
    }
    if (start + 24 > page.length) throw damaged(number)
    const count = this.#overflow(page.subarray(start, start + 24), size)
    walk.overflowPages += count
    if (walk.name === 'free') {
      const whole = this.#read(Number(page.readBigUInt64LE(start)), count * this.#meta.pageSize)
      this.#freeLists.push(whole.subarray(pageHeader, pageHeader + size))
    }
  }

  /** Keys of values are in the order of their bytes, those of free pages are numbers. */
  #checkOrder(walk: Walk, number: number, key: Buffer | undefined): void {
    const { last } = walk
    if (key === undefined || last === undefined) return
    if (walk.name === 'free' && key.length !== 8) throw damaged(number)
    const isLater =
      walk.name === 'free' ? key.readBigUInt64LE(0) > last.readBigUInt64LE(0) : key.compare(last) > 0
    if (!isLater) throw damaged(number)
  }

  /** Looks at the first of the pages a large value lies on; returns how many there are. */
  #overflow(reference: Buffer, size: number): number {
    const number = Number(reference.readBigUInt64LE(0))
    const page = this.#read(number, pageHeader)
    const count = page.readUInt32LE(20)
    const needed = Math.floor((pageHeader - 1 + size) / this.#meta.pageSize) + 1
    if ((page.readUInt16LE(18) & kinds) !== overflowPage) throw damaged(number)
    if (count < needed || Number(reference.readBigUInt64LE(16)) !== count) throw damaged(number)
    this.#take(number, count)
    return count
  }

  #read(number: number, length: number): Buffer {
    if (number < metaPages || number > this.#meta.lastPage) throw new Damage(`it refers to a page ${number}`)
    const bytes = Buffer.allocUnsafe(length)
    const read = readSync(this.#file, bytes, 0, length, number * this.#meta.pageSize)
    if (read < length) throw new Damage('the database is cut off')
    const isItself = Number(bytes.readBigUInt64LE(0)) === number
    const isPast = Number(bytes.readBigUInt64LE(8)) <= this.#meta.transaction
    if (!isItself || !isPast) throw damaged(number)
    return bytes
  }

  #take(number: number, count: number): void {
    if (number + count > this.#pages) throw new Damage('the database is cut off')
    for (let index = number; index < number + count; index++) {
      if (this.#used[index] === 1) throw new Damage(`page ${index} is used twice`)
      this.#used[index] = 1
    }
  }

  /** A count, then numbers of pages; below zero the length of a run whose first page follows, zero nothing. */
  #checkFreeList(list: Buffer): void {
    const count = list.length < 8 ? undefined : Number(list.readBigInt64LE(0))
    if (count === undefined || count < 0 || 8 * (count + 1) > list.length)
      throw new Damage('a list of free pages is damaged')
    for (let index = 1; index <= count; index++) {
      let run = 1
      let entry = Number(list.readBigInt64LE(8 * index))
      if (entry < 0 && index < count) {
        run = -entry
        index++
        entry = Number(list.readBigInt64LE(8 * index))
      }
      if (entry !== 0) this.#checkFree(entry, run)
    }
  }

  #checkFree(first: number, run: number): void {
    if (first < metaPages || first + run - 1 > this.#meta.lastPage)
      throw new Damage('a list of free pages is damaged')
    const end = Math.min(first + run, this.#pages)
    for (let page = first; page < end; page++)
      if (this.#used[page] === 1) throw new Damage(`page ${page} is in use and counts as free`)
  }
}

const damaged = (page: number) => new Damage(`page ${page} is damaged`)
