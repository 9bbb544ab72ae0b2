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
const wayOut = `install what is missing (Debian, Ubuntu: ${packages}) or use the simulated runtime (--runtime sim)`

/** `iptables` is called by the bridge plugin, for the translation of addresses. */
const programs = ['containerd', 'ctr', 'containerd-shim-runc-v2', 'runc', 'iptables'] as const
const plugins = ['bridge', 'host-local', 'loopback'] as const
const cniFolders: readonly string[] = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni']

/** Finds the programs. @throws UserError that names all that are missing, where they were looked for, and the remedy. */
export async function findBinaries(options: FindBinariesOptions): Promise<ContainerdBinaries> {
  const folders = [...new Set(options.path)]
  const cniPath = options.cniPath ?? cniFolders
  const places = await Promise.all(programs.map((name) => findProgram(name, folders)))
  const [containerd, ctr, , runc] = places
  const cni = await findFolder(cniPath)
  const absent = programs.filter((_, index) => places[index] === undefined)
  const complaints = [
    ...(absent.length === 0 ? [] : [`${listed(absent)} ${isOrAre(absent)} not in ${folders.join(', ')}`]),
    ...(cni === undefined ? [`the CNI plugins ${listed(plugins)} are not in ${cniPath.join(', ')}`] : []),
  ]
  if (
    containerd === undefined ||
    ctr === undefined ||
    runc === undefined ||
    cni === undefined ||
    absent.length > 0
  )
    throw new UserError(`cannot run containers: ${complaints.join(', and ')}`, wayOut)
  return { containerd, ctr, runc, cni, hasPortmap: await isProgram(join(cni, 'portmap')) }
}

function listed(names: readonly string[]): string {
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

function isOrAre(names: readonly string[]): string {
  return names.length === 1 ? 'is' : 'are'
}

/** The path of a program, or undefined when no folder has it. */
export async function findProgram(name: string, path: readonly string[]): Promise<string | undefined> {
  for (const folder of path) if (await isProgram(join(folder, name))) return join(folder, name)
  return undefined
}

/** The first folder that holds all plugins. */
async function findFolder(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    const present = await Promise.all(plugins.map((plugin) => isProgram(join(folder, plugin))))
    if (present.every(Boolean)) return folder
  }
  return undefined
}

function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}
