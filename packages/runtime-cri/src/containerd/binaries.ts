import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { UserError } from '@outrigger/foundation'

/** Where the programs are that a containerd of our own needs. All paths are absolute. */
export interface ContainerdBinaries {
  readonly containerd: string
  readonly ctr: string
  readonly runc: string
  /** Folder with the CNI plugins. */
  readonly cni: string
  /** Whether the plugin for host ports is there. */
  readonly hasPortmap: boolean
}

export interface FindBinariesOptions {
  /** Folders to search, in order. */
  readonly path: readonly string[]
  /** Folders that may hold the CNI plugins, in order. */
  readonly cniPath?: readonly string[]
}

/** The usual places, for a program whose PATH leaves the administrator's folders out. */
export const systemPath: readonly string[] = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
]

const packages = 'apt-get install -y containerd runc containernetworking-plugins iptables'
const wayOut = `install the missing part (Debian, Ubuntu: ${packages}) or use the simulated runtime`

/** Finds the programs. @throws UserError that names the first one missing and the remedy. */
export async function findBinaries(options: FindBinariesOptions): Promise<ContainerdBinaries> {
  const containerd = await need('containerd', options.path)
  const ctr = await need('ctr', options.path)
  await need('containerd-shim-runc-v2', options.path)
  const runc = await need('runc', options.path)
  // The bridge plugin calls it for the translation of addresses.
  await need('iptables', options.path)
  const cni = await findFolder(options.cniPath ?? ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'])
  return { containerd, ctr, runc, cni, hasPortmap: await isProgram(join(cni, 'portmap')) }
}

/** The path of a program, or undefined when no folder has it. */
export async function findProgram(name: string, path: readonly string[]): Promise<string | undefined> {
  for (const folder of path) if (await isProgram(join(folder, name))) return join(folder, name)
  return undefined
}

async function need(name: string, path: readonly string[]): Promise<string> {
  const found = await findProgram(name, path)
  if (found === undefined) throw new UserError(`cannot run containers: ${name} is not installed`, wayOut)
  return found
}

async function findFolder(folders: readonly string[]): Promise<string> {
  const needed = ['bridge', 'host-local', 'loopback']
  for (const folder of folders) {
    const present = await Promise.all(needed.map((plugin) => isProgram(join(folder, plugin))))
    if (present.every(Boolean)) return folder
  }
  throw new UserError(
    `cannot run containers: the CNI plugins ${needed.join(', ')} are not in ${folders.join(' or ')}`,
    wayOut,
  )
}

function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
