import { mkdtemp, readdir, readlink, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DiskPodFiles } from './disk-pod-files.ts'

describe('DiskPodFiles', () => {
  let root: string
  let files: DiskPodFiles
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pod-files-'))
    files = new DiskPodFiles({ root })
  })
  afterEach(() => rm(root, { recursive: true, force: true }))
  const volume = () => join(files.podDirectory('u'), 'volumes', 'v')
  const write = (content: Record<string, string>) =>
    files.writeAtomically(
      volume(),
      new Map(
        Object.entries(content).map(([name, text]) => [name, { content: Buffer.from(text), mode: 0o640 }]),
      ),
    )
  const read = async (name: string) => (await files.read(join(volume(), name), 0))?.toString()

  test('swaps the whole content of a volume by one link, and only when it differs', async () => {
    expect(await write({ a: '1', 'b/c': '2' })).toBe(true)
    const first = await readlink(join(volume(), '..data'))
    expect(await write({ a: '1', 'b/c': '2' })).toBe(false)
    expect(await write({ a: '3' })).toBe(true)

    expect(await readlink(join(volume(), '..data'))).not.toBe(first)
    expect(await readlink(join(volume(), 'a'))).toBe('..data/a')
    expect(await read('a')).toBe('3')
    expect((await readdir(volume())).filter((name) => !name.startsWith('..'))).toEqual(['a'])
    expect((await readdir(volume())).filter((name) => name.startsWith('..data-'))).toHaveLength(1)
  })

  test('does not follow a link that a pod has planted out of its volume', async () => {
    await files.makeDirectory(volume(), 0o777)
    await writeFile(join(root, 'secret'), 's')
    await symlink('../../../../secret', join(volume(), 'link'))
    await symlink('/etc', join(volume(), 'etc'))

    await expect(files.resolveBelow(volume(), 'link')).rejects.toThrow('leads out of its volume')
    await expect(files.resolveBelow(volume(), 'etc/passwd')).rejects.toThrow('leads out of its volume')
    await expect(files.resolveBelow(volume(), '../..')).rejects.toThrow('not a path below')
    expect(await files.resolveBelow(volume(), 'new/folder')).toBe(join(volume(), 'new/folder'))
  })

  test('reads pieces and tails, and knows what is not there', async () => {
    const path = join(root, 'log')
    await files.writeFile(path, Buffer.from('0123456789'), 0o600)

    expect((await files.read(path, 7))?.toString()).toBe('789')
    expect((await files.readTail(path, 3))?.toString()).toBe('789')
    expect(await files.size(path)).toBe(10)
    expect([await files.kind(path), await files.kind(root), await files.kind(join(root, 'no'))]).toEqual([
      'file',
      'directory',
      undefined,
    ])
    expect(await files.read(join(root, 'no'), 0)).toBeUndefined()
    expect(await files.list(join(root, 'no'))).toEqual([])
  })

  test('forgets a pod with all it had', async () => {
    await write({ a: '1' })
    expect(await files.pods()).toEqual(['u'])
    await files.removePod('u')
    expect(await files.pods()).toEqual([])
  })

  test('refuses names that are paths', () => {
    expect(() => files.podDirectory('../x')).toThrow('not a file name')
    expect(() => files.logDirectory({ namespace: 'a/b', name: 'n', uid: 'u' })).toThrow('not a file name')
  })
})
