import { existsSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createVolumeFolders } from './volume-folders.ts'

const name = 'pvc-0a1b2c3d-0000-4000-8000-000000000000'
let place: string

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'volumes-'))
})
afterEach(() => rmSync(place, { recursive: true, force: true }))

describe('Folders of volumes', () => {
  it('are for anybody to write into, below a root that nobody else enters', async () => {
    const root = join(place, 'root')
    const folders = createVolumeFolders(root)
    await folders.make(name)
    await folders.make(name)
    expect(lstatSync(folders.path(name)).mode & 0o777).toBe(0o777)
    expect(lstatSync(root).mode & 0o777).toBe(0o700)
  })

  it('go with what is in them, and nothing a link in them points to goes', async () => {
    const precious = join(place, 'precious')
    mkdirSync(precious)
    writeFileSync(join(precious, 'letter'), 'dear')
    const folders = createVolumeFolders(join(place, 'root'))
    await folders.make(name)
    symlinkSync(precious, join(folders.path(name), 'link'))
    await folders.remove(name)
    await folders.remove(name)
    expect(existsSync(folders.path(name))).toBe(false)
    expect(existsSync(join(precious, 'letter'))).toBe(true)
  })

  it('are neither made nor removed under any other name', async () => {
    const folders = createVolumeFolders(join(place, 'root'))
    for (const other of ['..', '', 'pvc-../../x', '../precious', `${name}/..`, 'web', `${name}\n`]) {
      await expect(folders.make(other)).rejects.toThrow(/no name of a volume/)
      await expect(folders.remove(other)).rejects.toThrow(/no name of a volume/)
    }
  })

  it('are not looked for behind a link', async () => {
    const elsewhere = join(place, 'elsewhere')
    mkdirSync(join(elsewhere, name), { recursive: true })
    symlinkSync(elsewhere, join(place, 'root'))
    await expect(createVolumeFolders(join(place, 'root')).remove(name)).rejects.toThrow(/is no folder/)
    expect(existsSync(join(elsewhere, name))).toBe(true)
  })
})
