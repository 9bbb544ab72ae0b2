import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openDataDirectory, removeDataDirectory } from './data-directory.ts'
import { makeFolder } from './make-folder.ts'

const processId = process.pid
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-data-'))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('a data directory', () => {
  it('is made for its owner alone, and leaves the mode of a folder that was there', async () => {
    const path = join(folder, 'a', 'b')
    const directory = await openDataDirectory(path, processId)

    expect(statSync(path).mode & 0o777).toBe(0o700)
    expect(statSync(directory.pki).mode & 0o777).toBe(0o700)
    mkdirSync(join(folder, 'wide'), { mode: 0o755 })
    await openDataDirectory(join(folder, 'wide'), processId)
    expect(statSync(join(folder, 'wide')).mode & 0o777).toBe(0o755)
  })

  it('is not given to a cluster that would remove what is kept in it', async () => {
    const kept = await openDataDirectory(join(folder, 'kept'), processId)
    await kept.release()

    await expect(openDataDirectory(kept.path, processId, 'ephemeral')).rejects.toThrow(
      /holds a cluster that is kept, and --ephemeral would remove it; leave --ephemeral out/,
    )
    expect(readdirSync(kept.path).sort()).toEqual(['pki', 'pods', 'store'])
  })

  it('is given again to an ephemeral cluster that was killed, and leaves nothing when it is removed', async () => {
    const path = join(folder, 'short')
    await openDataDirectory(path, 4_000_000)
    rmSync(path, { recursive: true })
    await openDataDirectory(path, 4_000_000, 'ephemeral')
    const again = await openDataDirectory(path, processId, 'ephemeral')

    await removeDataDirectory(again)
    expect(existsSync(path)).toBe(false)
  })

  it('becomes one that is kept when somebody keeps it', async () => {
    const path = join(folder, 'turned')
    await (await openDataDirectory(path, processId, 'ephemeral')).release()
    await (await openDataDirectory(path, processId, 'kept')).release()

    await expect(openDataDirectory(path, processId, 'ephemeral')).rejects.toThrow('is kept')
  })

  it('is refused in a line where no folder can be', async () => {
    writeFileSync(join(folder, 'file'), '')

    for (const path of [join(folder, 'file'), join(folder, 'file', 'below')])
      await expect(openDataDirectory(path, processId)).rejects.toThrow(
        /cannot be used: .*; choose another one with --data-dir/,
      )
  })
})

it.runIf(process.platform === 'linux')(
  'gives up where the system knows a folder and refuses what is in it',
  async () => {
    await expect(makeFolder('/proc/nope/x')).rejects.toThrow('ENOENT')
  },
)
