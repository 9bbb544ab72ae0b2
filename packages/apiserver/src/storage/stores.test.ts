import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '@outrigger/foundation'
import type { KubeObject } from '@outrigger/kube'
import { open } from 'lmdb'
import { describe, expect, it } from 'vitest'
import { openLmdbStore } from './lmdb-store.ts'
import { createMemoryStore } from './mvcc-store.ts'
import { describeStore } from './store.contract.ts'
import type { Store } from './store.ts'

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
