import { createHash } from 'node:crypto'
import { chmod, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'

/** Where a cluster keeps what must survive: one folder, readable by its owner only. */
export interface DataDirectory {
  readonly path: string
  /** Certificates and keys. */
  readonly pki: string
  /** The API server's database. */
  readonly store: string
  /** containerd's root, state and configuration. */
  readonly containerd: string
  /** Volumes and logs of pods. */
  readonly pods: string
  /** Default place of the kubeconfig. */
  readonly kubeconfig: string
  /** Short and unique for this folder: part of socket and bridge names. */
  readonly id: string
}

/** Makes the folder and its parts with mode 0700. @throws UserError when it cannot. */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  const directory: DataDirectory = {
    path,
    pki: join(path, 'pki'),
    store: join(path, 'store'),
    containerd: join(path, 'containerd'),
    pods: join(path, 'pods'),
    kubeconfig: join(path, 'kubeconfig'),
    id: createHash('sha256').update(path).digest('hex').slice(0, 8),
  }
  try {
    for (const folder of [path, directory.pki, directory.store, directory.pods]) {
      await mkdir(folder, { recursive: true, mode: 0o700 })
    }
    await chmod(path, 0o700)
  } catch (error) {
    throw new UserError(
      `the data directory ${path} cannot be used: ${messageOf(error)}`,
      'choose another one with --data-dir',
      { cause: error },
    )
  }
  return directory
}

export async function removeDataDirectory(directory: DataDirectory): Promise<void> {
  await rm(directory.path, { recursive: true, force: true })
}
