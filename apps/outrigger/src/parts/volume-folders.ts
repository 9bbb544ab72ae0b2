import { chmod, lstat, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { VolumeFolders } from '@outrigger/control-plane'

/** What the control plane calls the volumes it makes. */
const volumeName = /^pvc-[0-9a-f-]{36}$/

/**
 * Volumes as folders in `root`, readable by its owner only; what runs in containers gets the folders alone. Nothing
 * but a folder of a volume's name right below `root` is ever made or removed, and links are not followed.
 */
export function createVolumeFolders(root: string): VolumeFolders {
  const path = (name: string) => {
    if (!volumeName.test(name)) throw new Error(`${JSON.stringify(name)} is no name of a volume made here`)
    return join(root, name)
  }
  return {
    path,
    async make(name) {
      const folder = path(name)
      await mkdir(root, { recursive: true, mode: 0o700 })
      await mkdir(folder).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error
      })
      await assertFolder(root)
      await assertFolder(folder)
      await chmod(folder, 0o777)
    },
    async remove(name) {
      const folder = path(name)
      const isThere = await lstat(root).then(
        () => true,
        (error: NodeJS.ErrnoException) => {
          if (error.code === 'ENOENT') return false
          throw error
        },
      )
      if (!isThere) return
      await assertFolder(root)
      await rm(folder, { recursive: true, force: true, maxRetries: 3 })
    },
  }
}

async function assertFolder(path: string): Promise<void> {
  if (!(await lstat(path)).isDirectory()) throw new Error(`${path} is no folder`)
}
