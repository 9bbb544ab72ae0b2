import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '@outrigger/foundation'
import type { KubeObject } from '@outrigger/kube'
import fc from 'fast-check'
import { open } from 'lmdb'
import { describe, expect, it } from 'vitest'
import { lmdbFileProblem } from './lmdb-file.ts'
import { openLmdbStore } from './lmdb-store.ts'
import { createMemoryStore } from './mvcc-store.ts'
import { describeStore } from './store.contract.ts'
import { StorageFull, type Store } from './store.ts'

const history = { most: 5, bytes: 1_000_000, least: 5, age: 0 }
const monotonic = () => 0

describeStore('memory', async () => {
  const store = createMemoryStore({ monotonic, history })
  return { store, close: () => store.close() }
})

describeStore('LMDB', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'store-'))
  const openStore = () => openLmdbStore({ directory, monotonic, history })
  let store: Store = await openStore()
  return {
    store,
    async reopen() {
      await store.close()
      store = await openStore()
      return store
    },
    async close() {
      await store.close()
      rmSync(directory, { recursive: true })
    },
  }
})

const anObject = (name: string, size = 10) =>
  ({
    kind: 'ConfigMap',
    apiVersion: 'v1',
    metadata: { name, annotations: { filler: 'x'.repeat(size) } },
  }) as unknown as KubeObject

/** Writes objects small and large, and deletes some of them. */
async function fill(directory: string, count: number): Promise<void> {
  const store = await openLmdbStore({ directory, monotonic })
  for (let index = 0; index < count; index++) {
    const key = { namespace: '', name: `n${(index * 37) % 100}` }
    const expected = store.latest('c', key)?.revision ?? 0
    const object = expected > 0 && index % 3 === 0 ? undefined : anObject(key.name, (index * 991) % 9000)
    await store.write({ collection: 'c', key, expected, object })
  }
  await store.close()
}

/** The first page of the tree of values, in the later of the two states a file holds. */
function newestRoot(file: Buffer, pageSize: number): number {
  const [one, two] = [24, pageSize + 24]
  const later = file.readBigUInt64LE(one + 128) > file.readBigUInt64LE(two + 128) ? one : two
  return Number(file.readBigUInt64LE(later + 72 + 40))
}

describe('LMDB data directory', () => {
  const inDirectory = async (work: (directory: string) => Promise<void>) => {
    const directory = mkdtempSync(join(tmpdir(), 'store-'))
    try {
      await work(directory)
    } finally {
      rmSync(directory, { recursive: true })
    }
  }

  it('belongs to one server at a time', () =>
    inDirectory(async (directory) => {
      const store = await openLmdbStore({ directory, monotonic })
      await expect(openLmdbStore({ directory, monotonic })).rejects.toThrow(/another server uses/)
      await store.close()
      await (await openLmdbStore({ directory, monotonic })).close()
    }))

  it('is refused when the file is no database', () =>
    inDirectory(async (directory) => {
      writeFileSync(join(directory, 'objects.mdb'), 'this is a letter to my grandmother'.repeat(1000))
      await expect(openLmdbStore({ directory, monotonic })).rejects.toThrow(UserError)
    }))

  it('is refused when the file is cut off', () =>
    inDirectory(async (directory) => {
      const store = await openLmdbStore({ directory, monotonic })
      const metadata = { name: 'a', annotations: { big: 'x'.repeat(100_000) } }
      const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata } as unknown as KubeObject
      await store.write({ collection: 'c', key: { namespace: '', name: 'a' }, expected: 0, object })
      await store.close()
      truncateSync(join(directory, 'objects.mdb'), 16_384)
      await expect(openLmdbStore({ directory, monotonic })).rejects.toThrow(/cut off/)
    }))

  it('is refused with what is wrong, where, and what to do, before the library falls over it', () =>
    inDirectory(async (directory) => {
      await fill(directory, 200)
      const path = join(directory, 'objects.mdb')
      const whole = readFileSync(path)
      const pageSize = whole.readUInt32LE(48)
      const root = newestRoot(whole, pageSize)
      const damages: Record<string, [RegExp, (file: Buffer) => void]> = {
        'garbage in the root': [
          new RegExp(`page ${root} is damaged`),
          (file) => file.fill(0xa5, root * pageSize, (root + 1) * pageSize),
        ],
        'a page of zeros': [
          /page \d+ is damaged/,
          (file) => file.fill(0, root * pageSize, (root + 1) * pageSize),
        ],
        'no mark': [/the file is no database/, (file) => file.fill(0, 24, 28)],
        'a page size that is none': [/page 0 is damaged/, (file) => file.writeUInt32LE(77, 48)],
        'only the beginning': [/cut off/, (file) => file.fill(0, pageSize, pageSize * 2)],
      }
      for (const [name, [message, damage]] of Object.entries(damages)) {
        const file = Buffer.from(whole)
        damage(file)
        writeFileSync(path, file)
        const error = await openLmdbStore({ directory, monotonic }).then(
          () => undefined,
          (reason: unknown) => reason,
        )
        expect(error, name).toBeInstanceOf(UserError)
        expect((error as UserError).message, name).toMatch(message)
        expect((error as UserError).message, name).toContain(path)
        expect((error as UserError).remedy, name).toContain('restore the folder')
      }
      writeFileSync(path, whole)
      await (await openLmdbStore({ directory, monotonic })).close()
    }))

  it('is opened or refused, whatever bytes of the file were changed', () =>
    inDirectory(async (directory) => {
      await fill(directory, 60)
      const whole = readFileSync(join(directory, 'objects.mdb'))
      const path = join(directory, 'spoilt.mdb')
      fc.assert(
        fc.property(
          fc.array(fc.record({ at: fc.nat(whole.length - 1), byte: fc.nat(255) }), {
            minLength: 1,
            maxLength: 4,
          }),
          fc.option(fc.nat(whole.length)),
          (changes, length) => {
            const file = Buffer.from(whole)
            for (const { at, byte } of changes) file[at] = byte
            writeFileSync(path, length === null ? file : file.subarray(0, length))
            const problem = lmdbFileProblem(path)
            expect(problem === undefined || problem.length > 0).toBe(true)
          },
        ),
        { numRuns: 300 },
      )
    }))

  it('is found whole after any writes, on this boot of the machine and on the next', () =>
    inDirectory(async (directory) => {
      for (let round = 0; round < 5; round++) {
        await fill(directory, 20 + round * 50)
        const path = join(directory, 'objects.mdb')
        expect(lmdbFileProblem(path)).toBeUndefined()
        expect(lmdbFileProblem(path, 12345n)).toBeUndefined()
      }
    }))

  it('begins anew in an empty file, and does without what the library left beside it', () =>
    inDirectory(async (directory) => {
      writeFileSync(join(directory, 'objects.mdb'), '')
      writeFileSync(join(directory, 'objects.mdb-lock'), 'nonsense')
      await (await openLmdbStore({ directory, monotonic })).close()
    }))

  it('is refused when a folder stands where the file should be', () =>
    inDirectory(async (directory) => {
      mkdirSync(join(directory, 'objects.mdb'))
      await expect(openLmdbStore({ directory, monotonic })).rejects.toThrow(/is no file; restore the folder/)
    }))

  it('is refused when its device is full', () =>
    inDirectory(async (directory) => {
      const opening = openLmdbStore({ directory, monotonic, freeBytes: () => 4096 })
      await expect(opening).rejects.toThrow(
        `no space is left on the device for ${directory}; make room there`,
      )
    }))

  it('refuses writes while its device is full, and goes on when there is room', () =>
    inDirectory(async (directory) => {
      let free = 2 ** 30
      const told: (string | undefined)[] = []
      const store = await openLmdbStore({
        directory,
        monotonic,
        freeBytes: () => free,
        onSpace: (problem) => told.push(problem?.message),
      })
      const write = (name: string, expected: number) =>
        store.write({ collection: 'c', key: { namespace: '', name }, expected, object: anObject(name) })
      const first = await write('a', 0)
      free = 1_000_000
      await expect(write('a', first.revision)).rejects.toBeInstanceOf(StorageFull)
      await expect(write('b', 0)).rejects.toBeInstanceOf(StorageFull)
      expect(store.get('c', { namespace: '', name: 'b' })).toBeUndefined()
      expect(store.latest('c', { namespace: '', name: 'a' })?.revision).toBe(first.revision)
      free = 2 ** 30
      const second = await write('a', first.revision)
      expect(second.revision).toBeGreaterThan(first.revision)
      expect(store.isHealthy).toBe(true)
      expect(told).toEqual([expect.stringContaining('no space is left'), undefined])
      await store.close()
      const again = await openLmdbStore({ directory, monotonic })
      expect(again.list('c').map(({ key }) => key.name)).toEqual(['a'])
      await again.close()
    }))

  it('is refused when the database is somebody else’s', () =>
    inDirectory(async (directory) => {
      const other = open({ path: join(directory, 'objects.mdb'), noSubdir: true })
      await other.put('recipes', 'cake')
      await other.close()
      await expect(openLmdbStore({ directory, monotonic })).rejects.toThrow(/format is not marked/)
    }))

  it('is refused when an object cannot be read', () =>
    inDirectory(async (directory) => {
      const store = await openLmdbStore({ directory, monotonic })
      await store.close()
      const other = open({ path: join(directory, 'objects.mdb'), noSubdir: true, encoding: 'binary' })
      await other.put(['object', 'pods', 'default', 'web'], Buffer.from('{"kind":'))
      await other.close()
      await expect(openLmdbStore({ directory, monotonic })).rejects.toThrow(
        /pods\/default\/web cannot be read/,
      )
    }))

  it('has every acknowledged write after the process was killed', () =>
    inDirectory(async (directory) => {
      const script = join(import.meta.dirname, 'testdata', 'write-until-killed.ts')
      const child = spawn(process.execPath, ['--import', 'tsx', script, directory], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const acknowledged = new Set<string>()
      let rest = ''
      await new Promise<void>((resolve) => {
        child.stdout.on('data', (chunk: Buffer) => {
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) acknowledged.add(line)
          if (acknowledged.size > 500) child.kill('SIGKILL')
        })
        child.once('exit', () => resolve())
      })
      const store = await openLmdbStore({ directory, monotonic })
      try {
        for (const name of acknowledged)
          expect(store.get('configmaps', { namespace: 'default', name })).toBeDefined()
        const revisions = store.list('configmaps').map((entry) => entry.revision)
        expect(Math.max(...revisions)).toBeLessThanOrEqual(store.revision)
        expect(new Set(revisions).size).toBe(revisions.length)
      } finally {
        await store.close()
      }
    }))
})

describe('a store whose disk fails', () => {
  it('rejects the write and all later ones, and says that it is not healthy', async () => {
    const { MvccStore } = await import('./mvcc-store.ts')
    const store = new MvccStore({
      monotonic,
      journal: { commit: () => Promise.reject(new Error('no space left')), close: async () => {} },
    })
    const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name: 'a' } } as KubeObject
    const write = () =>
      store.write({
        collection: 'c',
        key: { namespace: '', name: 'a' },
        expected: 0,
        object: structuredClone(object),
      })
    await expect(write()).rejects.toThrow('no space left')
    await expect(write()).rejects.toThrow('no space left')
    expect(store.isHealthy).toBe(false)
    expect(store.get('c', { namespace: '', name: 'a' })).toBeUndefined()
  })
})
