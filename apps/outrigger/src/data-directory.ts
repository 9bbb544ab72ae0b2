import { access, chmod, open, readFile, rm, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import { processExists } from './environment.ts'
import { makeFolder } from './make-folder.ts'

/** Where a cluster keeps what must survive: one folder, readable by its owner only, used by one process at a time. */
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
  /** What claims of pods keep: one folder for each persistent volume made here. */
  readonly volumes: string
  /** Default place of the kubeconfig. */
  readonly kubeconfig: string
  /** Lets the next process in. Repeatable. */
  release(): Promise<void>
}

/** Whether what is in the folder outlives the process that has it. */
export type Keeping = 'kept' | 'ephemeral'

/**
 * Makes the folder and its parts with mode 0700 and takes it for this process. Who will remove everything at the end
 * says `ephemeral`, and gets only a folder without a cluster, or with one that was ephemeral too and was not removed.
 *
 * @throws UserError when it cannot be written, another process uses it, or it holds a cluster that is kept.
 */
export async function openDataDirectory(
  path: string,
  processId: number,
  keeping: Keeping = 'kept',
): Promise<DataDirectory> {
  const directory = placesIn(path)
  const lock = join(path, 'lock')
  const mark = join(path, ephemeralMark)
  try {
    await makeFolder(path)
    await takeLock(lock, path, processId)
    if (keeping === 'kept') await rm(mark, { force: true })
    else await markEphemeral(directory, mark)
    for (const folder of [directory.pki, directory.store, directory.pods]) {
      await makeFolder(folder)
      await chmod(folder, 0o700)
    }
  } catch (error) {
    // What was not ours is still not ours; a lock that we took goes.
    if ((await readFile(lock, 'utf8').catch(() => '')).trim() === String(processId))
      await rm(lock, { force: true })
    if (error instanceof UserError) throw error
    throw new UserError(
      `the data directory ${path} cannot be used: ${messageOf(error)}`,
      'choose another one with --data-dir',
      { cause: error },
    )
  }
  return { ...directory, release: () => rm(lock, { force: true }) }
}

const ephemeralMark = 'ephemeral'

/** @throws UserError when the folder holds a cluster that somebody wants to keep. */
async function markEphemeral(
  { path, pki, store, containerd }: Omit<DataDirectory, 'release'>,
  mark: string,
): Promise<void> {
  const hasState = (await Promise.all([pki, store, containerd].map(exists))).includes(true)
  if (hasState && !(await exists(mark))) {
    throw new UserError(
      `the data directory ${path} holds a cluster that is kept, and --ephemeral would remove it`,
      'leave --ephemeral out, choose another folder with --data-dir, or remove that cluster with outrigger down --purge',
    )
  }
  await writeFile(mark, '')
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

/** Removes what a cluster keeps in the folder, and the folder if nothing else is in it. */
export async function removeDataDirectory(directory: DataDirectory): Promise<void> {
  const { path, pki, store, containerd, pods, volumes, kubeconfig } = directory
  // Somebody may have named a folder that holds other things too.
  for (const part of [
    pki,
    store,
    containerd,
    pods,
    volumes,
    kubeconfig,
    join(path, ephemeralMark),
    join(path, 'lock'),
  ])
    await rm(part, { recursive: true, force: true })
  await rmdir(path).catch(() => {})
}

function placesIn(path: string): Omit<DataDirectory, 'release'> {
  return {
    path,
    pki: join(path, 'pki'),
    store: join(path, 'store'),
    containerd: join(path, 'containerd'),
    pods: join(path, 'pods'),
    volumes: join(path, 'volumes'),
    kubeconfig: join(path, 'kubeconfig'),
  }
}

/** The lock names its holder; one whose holder is gone (kill -9, power cut) is taken over. */
async function takeLock(lock: string, path: string, processId: number): Promise<void> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const file = await open(lock, 'wx', 0o600).catch((error: unknown) => {
      if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return undefined
      throw error
    })
    if (file !== undefined) {
      await file.writeFile(`${processId}\n`)
      await file.close()
      return
    }
    const holder = Number(await readFile(lock, 'utf8').catch(() => ''))
    if (holder !== processId && (await isOutrigger(holder))) {
      throw new UserError(
        `the data directory ${path} is in use by process ${holder}`,
        'stop that one first, or choose another folder with --data-dir',
      )
    }
    await rm(lock, { force: true })
  }
  throw new UserError(`the data directory ${path} is being taken by another process`, 'try again')
}

/** Whether a process with this number lives and is one of ours; numbers are used again after a restart of the machine. */
async function isOutrigger(processId: number): Promise<boolean> {
  if (!Number.isInteger(processId) || processId <= 0) return false
  if (!processExists(processId)) return false
  const commandLine = await readFile(`/proc/${processId}/cmdline`, 'utf8').catch(() => 'outrigger')
  return commandLine.includes('outrigger')
}
