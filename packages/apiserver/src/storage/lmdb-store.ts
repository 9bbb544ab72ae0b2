import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import type { KubeObject } from '@outrigger/kube'
import { open, type RootDatabase } from 'lmdb'
import type { HistoryLimits } from './change-history.ts'
import { lockDirectory } from './directory-lock.ts'
import { lmdbFileProblem } from './lmdb-file.ts'
import { type Journal, type JournalRecord, MvccStore } from './mvcc-store.ts'
import { StorageFull, type Store } from './store.ts'

/** Layout of the database; raised when older programs could not read it. */
const format = 1
const fileName = 'objects.mdb'
const formatKey = ['format']
const revisionKey = ['revision']

export interface LmdbStoreOptions {
  /** Made when it is missing. */
  readonly directory: string
  readonly monotonic: () => number
  readonly history?: HistoryLimits
  /** How many bytes the device of a folder has room for. Defaults to what the system says. */
  readonly freeBytes?: (directory: string) => number
  /** Told when writes begin to be refused for want of space, and when they are accepted again. */
  readonly onSpace?: (problem: StorageFull | undefined) => void
}

/**
 * Opens the store kept in `directory`. A write is acknowledged when it survives a killed process. Throws a
 * UserError when another server holds the directory, what lies there is no database of ours or damaged, or the
 * system refuses.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const { directory, freeBytes = freeBytesOf } = options
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    if (freeBytes(directory) < reserve) throw new StorageFull(directory)
    const unlock = await lockDirectory(directory)
    try {
      return await openLocked(options, unlock)
    } catch (error) {
      await unlock()
      throw error
    }
  } catch (error) {
    throw error instanceof UserError ? error : unusable(directory, error)
  }
}

async function openLocked(options: LmdbStoreOptions, unlock: () => Promise<void>): Promise<Store> {
  const database = openDatabase(options.directory)
  try {
    return load(database, options, unlock)
  } catch (error) {
    await database.close()
    throw error
  }
}

type Database = RootDatabase<Buffer, (string | number)[]>

function openDatabase(directory: string): Database {
  const path = join(directory, fileName)
  const hasOthers = !existsSync(path) && readdirSync(directory).some((name) => name.endsWith('.mdb'))
  if (hasOthers) throw foreign(directory, 'it holds another database')
  const problem = lmdbFileProblem(path)
  if (problem !== undefined) throw damaged(directory, problem)
  // What another process left says nothing to us, who hold the folder alone; the library falls over some of it.
  rmSync(`${path}-lock`, { force: true })
  return open<Buffer, (string | number)[]>({
    path,
    encoding: 'binary',
    noSubdir: true,
    cache: false,
    eventTurnBatching: true,
  })
}

const beginAnew = 'restore the folder from a copy, or remove it to begin anew (outrigger down --purge)'

function damaged(directory: string, why: string): UserError {
  return new UserError(`the database ${join(directory, fileName)} is damaged: ${why}`, beginAnew)
}

function unusable(directory: string, error: unknown): UserError {
  const why = messageOf(error)
  // The library's messages of what it finds inside begin with these.
  if (why.startsWith('MDB_')) return damaged(directory, why)
  if (/ENOSPC|No space left/i.test(why)) return new StorageFull(directory)
  return new UserError(
    `the database ${join(directory, fileName)} cannot be opened: ${why}`,
    'make the folder and what is in it readable and writable',
    { cause: error },
  )
}

function foreign(directory: string, why: string): UserError {
  return new UserError(
    `${directory} is no data directory of this server: ${why}`,
    'choose another data directory or empty this one',
  )
}

function load(database: Database, options: LmdbStoreOptions, unlock: () => Promise<void>): Store {
  const { directory } = options
  const found = database.get(formatKey)
  if (found === undefined) {
    for (const _ of database.getKeys({ limit: 1 })) throw foreign(directory, 'its format is not marked')
    database.putSync(formatKey, Buffer.from(String(format)))
  } else if (found.toString() !== String(format)) {
    throw foreign(directory, `its format is ${JSON.stringify(found.toString())}, not ${format}`)
  }
  const revision = Number(database.get(revisionKey)?.toString() ?? 0)
  if (!Number.isSafeInteger(revision)) throw damaged(directory, 'its revision cannot be read')
  const store = new MvccStore({ ...options, revision, journal: new LmdbJournal(database, options, unlock) })
  for (const { key, value } of database.getRange({ start: ['object'], end: ['object\u0001'] })) {
    const [, collection, namespace, name] = key as unknown as [string, string, string, string]
    store.load(collection, { namespace, name }, parseStored(directory, key, value))
  }
  return store
}

function parseStored(directory: string, key: readonly unknown[], value: Buffer): KubeObject {
  try {
    const object = JSON.parse(value.toString()) as KubeObject
    if (typeof object.metadata.resourceVersion !== 'string') throw new Error('it has no revision')
    return object
  } catch (error) {
    throw damaged(directory, `the object ${key.slice(1).join('/')} cannot be read (${messageOf(error)})`)
  }
}

/** Left free for what the library needs beside the records. */
const reserve = 1024 * 1024
/** What a record may cost beside its bytes: it is written with the pages above it, and to whole pages. */
const perRecord = 16 * 1024

function freeBytesOf(directory: string): number {
  const { bavail, bsize, blocks } = statfsSync(directory)
  // Some network file systems do not say.
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize
}

/**
 * Keeps records in LMDB. Whether there is room is asked before each commit: the library does not survive a device
 * that is full in the middle of one.
 */
class LmdbJournal implements Journal {
  readonly #database: Database
  readonly #options: LmdbStoreOptions
  readonly #unlock: () => Promise<void>
  #isFull = false

  constructor(database: Database, options: LmdbStoreOptions, unlock: () => Promise<void>) {
    this.#database = database
    this.#options = options
    this.#unlock = unlock
  }

  async commit(records: readonly JournalRecord[], revision: number): Promise<void> {
    this.#checkRoom(records)
    const database = this.#database
    // Each of them fails too if the batch does; one report is enough.
    const parts: Promise<unknown>[] = []
    const whole = database.batch(() => {
      for (const { collection, key, bytes } of records) {
        const path = ['object', collection, key.namespace, key.name]
        parts.push(bytes === undefined ? database.remove(path) : database.put(path, bytes))
      }
      parts.push(database.put(revisionKey, Buffer.from(String(revision))))
    })
    for (const part of parts) part.catch(() => {})
    await whole.catch((error: unknown) => rethrowCause(error))
  }

  #checkRoom(records: readonly JournalRecord[]): void {
    const { directory, freeBytes = freeBytesOf, onSpace } = this.#options
    let needed = reserve
    for (const { bytes } of records) needed += perRecord + 2 * (bytes?.length ?? 0)
    const isFull = freeBytes(directory) < needed
    const problem = isFull ? new StorageFull(directory) : undefined
    if (isFull !== this.#isFull) onSpace?.(problem)
    this.#isFull = isFull
    if (problem !== undefined) throw problem
  }

  async close(): Promise<void> {
    await this.#database.close()
    await this.#unlock()
  }
}

/** The library's error of a failed commit says no more than where to look. */
async function rethrowCause(error: unknown): Promise<never> {
  if (error instanceof Error && 'commitError' in error) await error.commitError
  throw error
}
