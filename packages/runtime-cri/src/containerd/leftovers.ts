import { execFile } from 'node:child_process'
import { readdir, readFile, rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { kill } from 'node:process'
import { promisify } from 'node:util'
import { type Logger, messageOf } from '@outrigger/foundation'
import { removeEmptyCgroups } from '../pod-cgroups.ts'
import { findProgram } from './binaries.ts'
import type { ContainerdPlaces } from './places.ts'

const run = promisify(execFile)

export interface LeftoversOptions {
  readonly places: ContainerdPlaces
  readonly path: readonly string[]
  readonly logger: Logger
}

/** Kills the shims of this containerd, and what runs in their containers. For when containerd itself is gone. */
export async function killShims({ places, logger }: LeftoversOptions): Promise<void> {
  for (const pid of await shimsOf(places.socket)) {
    for (const child of await childrenOf(pid)) signalProcess(child, 'SIGKILL')
    signalProcess(pid, 'SIGKILL')
    logger.debug('killed a shim that was left over', { pid })
  }
}

/** Whether containers of this containerd may be running. */
export async function hasShims(socket: string): Promise<boolean> {
  return (await shimsOf(socket)).length > 0
}

/** Unmounts everything below the folders of this containerd, deletes its bridge and its run folder. */
export async function removeTraces(options: LeftoversOptions): Promise<void> {
  const { places, path, logger } = options
  const mounts = await mountsBelow([places.run, places.root])
  for (const mount of mounts) {
    await run('umount', ['-l', mount]).catch((error: unknown) =>
      logger.warn('could not unmount a leftover', { mount, error: messageOf(error) }),
    )
  }
  await deleteBridge(places.bridge, path, logger)
  await rm(places.run, { recursive: true, force: true })
  // Fails while another data folder has its place there.
  await rmdir(join(places.run, '..')).catch(() => {})
  await removeEmptyCgroups()
}

async function deleteBridge(bridge: string, path: readonly string[], logger: Logger): Promise<void> {
  const isThere = (await readdir('/sys/class/net').catch((): string[] => [])).includes(bridge)
  if (!isThere) return
  const ip = await findProgram('ip', path)
  const busybox = await findProgram('busybox', path)
  const command = ip !== undefined ? [ip] : busybox !== undefined ? [busybox, 'ip'] : undefined
  if (command === undefined) {
    logger.warn('the network bridge stays behind, as there is no program ip', { bridge })
    return
  }
  const [program, ...first] = command as [string, ...string[]]
  await run(program, [...first, 'link', 'delete', bridge]).catch((error: unknown) =>
    logger.warn('could not delete the network bridge', { bridge, error: messageOf(error) }),
  )
}

/** Mount points below the folders, innermost first. */
async function mountsBelow(folders: readonly string[]): Promise<readonly string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  return parseMountPoints(table)
    .filter((mount) => folders.some((folder) => mount.startsWith(`${folder}/`)))
    .reverse()
}

/** Mount points of `/proc/self/mountinfo`, in the order of mounting. */
export function parseMountPoints(table: string): readonly string[] {
  return table
    .split('\n')
    .map((line) => line.split(' ')[4])
    .filter((mount) => mount !== undefined)
    .map((mount) =>
      mount.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8))),
    )
}

async function shimsOf(socket: string): Promise<readonly number[]> {
  const found: number[] = []
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const words = await commandLine(Number(name))
    if (words[0]?.includes('containerd-shim') && words.includes(socket)) found.push(Number(name))
  }
  return found
}

async function childrenOf(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch((): string[] => [])
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, 'utf8').catch(() => '')),
  )
  return lists.flatMap((list) =>
    list
      .split(' ')
      .filter((word) => word !== '')
      .map(Number),
  )
}

/** The words a process was started with; empty when there is no such process. */
export async function commandLine(pid: number): Promise<readonly string[]> {
  const text = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
  return text === '' ? [] : text.slice(0, -1).split('\0')
}

/** Sends a signal; fine when the process is gone. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    kill(pid, signal)
  } catch {
    // It ended by itself.
  }
}
