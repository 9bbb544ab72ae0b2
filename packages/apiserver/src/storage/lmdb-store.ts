import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import type { KubeObject } from '@outrigger/kube'
import { open, type RootDatabase } from 'lmdb'
import type { HistoryLimits } from './change-history.ts'
import { lockDirectory } from './directory-lock.ts'
import { lmdbFileProblem } from './lmdb-file.ts'
import { type Journal, type JournalRecord, MvccStore } from './mvcc-store.ts'
import type { Store } from './store.ts'

/** Layout of the database; raised when older programs could not read it. */
const format = 1
const formatKey = ['format']
const revisionKey = ['revision']

export interface LmdbStoreOptions {
  /** Made when it is missing. */
  readonly directory: string
  readonly monotonic: () => number
  readonly history?: HistoryLimits
}

/**
 * Opens the store kept in `directory`. A write is acknowledged when it survives a killed process. Throws a
 * UserError when another server holds the directory or what lies there is no database of ours.
 */
export async function openLmdbStore(options: LmdbStoreOptions): Promise<Store> {
  const { directory } = options
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const unlock = await lockDirectory(directory)
  try {
    const database = openDatabase(directory)
    try {
      return load(database, options, unlock)
    } catch (error) {
      await database.close()
      throw error
    }
  } catch (error) {
    await unlock()
    throw error
  }
}

type Database = RootDatabase<Buffer, (string | number)[]>

function openDatabase(directory: string): Database {
  const path = join(directory, 'objects.mdb')
  const hasOthers = !existsSync(path) && readdirSync(directory).some((name) => name.endsWith('.mdb'))
  if (hasOthers) throw foreign(directory, 'it holds another database')
  const problem = lmdbFileProblem(path)
  if (problem !== undefined) throw foreign(directory, problem)
  try {
    return open<Buffer, (string | number)[]>({
      path,
      encoding: 'binary',
      noSubdir: true,
      cache: false,
      eventTurnBatching: true,
    })
  } catch (error) {
    throw foreign(directory, messageOf(error))
  }
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
  const store = new MvccStore({ ...options, revision, journal: new LmdbJournal(database, unlock) })
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
    throw foreign(directory, `the object ${key.slice(1).join('/')} cannot be read (${messageOf(error)})`)
  }
}

class LmdbJournal implements Journal {
  readonly #database: Database
  readonly #unlock: () => Promise<void>

  constructor(database: Database, unlock: () => Promise<void>) {
    this.#database = database
    this.#unlock = unlock
  }

  async commit(records: readonly JournalRecord[], revision: number): Promise<void> {
    const database = this.#database
    await database.batch(() => {
      for (const { collection, key, bytes } of records) {
        const path = ['object', collection, key.namespace, key.name]
        if (bytes === undefined) database.remove(path)
        else database.put(path, bytes)
      }
      database.put(revisionKey, Buffer.from(String(revision)))
    })
  }

  async close(): Promise<void> {
    await this.#database.close()
    await this.#unlock()
  }
}
