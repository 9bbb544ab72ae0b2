import { execFile } from 'node:child_process'
import { watch as watchPath } from 'node:fs'
import * as fs from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, normalize, sep } from 'node:path'
import { promisify } from 'node:util'
import type { PodFiles, PodIdentity, VolumeFile } from './runtime.ts'

const run = promisify(execFile)
const readSize = 64 * 1024

export interface DiskPodFilesOptions {
  /** Folder for pods, absolute: volumes lie in `<root>/pods/<uid>`. */
  readonly root: string
  /** Folder for logs, absolute. Defaults to `<root>/logs`. */
  readonly logs?: string
}

/** Volumes and logs of pods on a real disk. */
export class DiskPodFiles implements PodFiles {
  readonly #pods: string
  readonly #logs: string

  constructor(options: DiskPodFilesOptions) {
    this.#pods = join(options.root, 'pods')
    this.#logs = options.logs ?? join(options.root, 'logs')
  }

  podDirectory(uid: string): string {
    return join(this.#pods, plainName(uid))
  }

  logDirectory(pod: PodIdentity): string {
    return join(this.#logs, plainName(`${pod.namespace}_${pod.name}_${pod.uid}`))
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    await fs.mkdir(path, { recursive: true })
    await fs.chmod(path, mode)
  }

  async giveToGroup(path: string, gid: number): Promise<void> {
    await fs.chown(path, -1, gid)
    const { mode } = await fs.stat(path)
    await fs.chmod(path, (mode & 0o777) | 0o2770)
  }

  /**
   * Writes a fresh folder `..data-XXXXXX`, swaps the link `..data` onto it and keeps one link per top-level
   * name, so that a reader sees either all of the old files or all of the new ones.
   */
  async writeAtomically(directory: string, files: ReadonlyMap<string, VolumeFile>): Promise<boolean> {
    for (const name of files.keys()) relativeName(name)
    await fs.mkdir(directory, { recursive: true })
    const link = join(directory, '..data')
    const current = await fs.readlink(link).catch(() => undefined)
    if (current !== undefined && (await holdsExactly(join(directory, current), files))) return false

    const fresh = await fs.mkdtemp(join(directory, '..data-'))
    await fs.chmod(fresh, 0o755)
    for (const [name, file] of files) await writeVolumeFile(join(fresh, name), file)
    const spare = join(directory, '..data_tmp')
    await fs.rm(spare, { force: true })
    await fs.symlink(basename(fresh), spare)
    await fs.rename(spare, link)
    await this.#linkNames(directory, files)
    if (current !== undefined) await fs.rm(join(directory, current), { recursive: true, force: true })
    return true
  }

  async #linkNames(directory: string, files: ReadonlyMap<string, VolumeFile>): Promise<void> {
    const wanted = new Set([...files.keys()].map((name) => name.split('/')[0]!))
    for (const name of wanted) {
      await fs.symlink(join('..data', name), join(directory, name)).catch(ignore('EEXIST'))
    }
    for (const name of await fs.readdir(directory)) {
      if (name.startsWith('..') || wanted.has(name)) continue
      await fs.rm(join(directory, name), { force: true })
    }
  }

  async writeFile(path: string, content: Uint8Array, mode: number): Promise<void> {
    await fs.mkdir(dirname(path), { recursive: true })
    await fs.writeFile(path, content, { mode })
    await fs.chmod(path, mode)
  }

  async readTail(path: string, maxBytes: number): Promise<Buffer | undefined> {
    const file = await openOrNothing(path)
    if (file === undefined) return undefined
    try {
      const { size } = await file.stat()
      const length = Math.min(size, maxBytes)
      const buffer = Buffer.alloc(length)
      const { bytesRead } = await file.read(buffer, 0, length, size - length)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  }

  async read(path: string, offset: number): Promise<Buffer | undefined> {
    const file = await openOrNothing(path)
    if (file === undefined) return undefined
    try {
      const buffer = Buffer.alloc(readSize)
      const { bytesRead } = await file.read(buffer, 0, readSize, offset)
      return buffer.subarray(0, bytesRead)
    } finally {
      await file.close()
    }
  }

  async size(path: string): Promise<number | undefined> {
    const stat = await fs.stat(path).catch(ignore('ENOENT', 'ENOTDIR'))
    return stat?.size
  }

  async kind(path: string): Promise<'file' | 'directory' | 'other' | undefined> {
    const stat = await fs.stat(path).catch(ignore('ENOENT', 'ENOTDIR'))
    if (stat === undefined) return undefined
    return stat.isFile() ? 'file' : stat.isDirectory() ? 'directory' : 'other'
  }

  /**
   * A pod may have planted links in its own volume: every step is resolved and compared before the next
   * one is taken, and folders are made one level at a time.
   */
  async resolveBelow(directory: string, subPath: string): Promise<string> {
    const base = await fs.realpath(directory)
    let path = base
    for (const step of relativeName(subPath).split('/')) {
      const next = join(path, step)
      const exists = await fs.lstat(next).catch(ignore('ENOENT'))
      if (exists === undefined) await fs.mkdir(next, { mode: 0o750 }).catch(ignore('EEXIST'))
      path = await fs.realpath(next)
      if (path !== base && !path.startsWith(base + sep)) {
        throw new Error(`subPath "${subPath}" leads out of its volume`)
      }
    }
    return path
  }

  async list(directory: string): Promise<readonly string[]> {
    const names = await fs.readdir(directory).catch(ignore('ENOENT', 'ENOTDIR'))
    return (names ?? []).sort()
  }

  async rename(from: string, to: string): Promise<void> {
    await fs.rename(from, to)
  }

  async remove(path: string): Promise<void> {
    await fs.rm(path, { recursive: true, force: true })
  }

  watch(path: string, onChange: () => void): () => void {
    const name = basename(path)
    try {
      const watcher = watchPath(dirname(path), { persistent: false }, (_event, changed) => {
        if (changed === null || changed === name) onChange()
      })
      watcher.on('error', () => watcher.close())
      return () => watcher.close()
    } catch {
      return () => {}
    }
  }

  async mountMemory(path: string, sizeBytes: number | undefined): Promise<void> {
    await fs.mkdir(path, { recursive: true })
    if ((await mountsBelow(path)).includes(await fs.realpath(path))) return
    const size = sizeBytes === undefined ? [] : ['-o', `size=${sizeBytes}`]
    await run('mount', ['-t', 'tmpfs', ...size, 'tmpfs', path])
  }

  async unmount(path: string): Promise<void> {
    await run('umount', ['--', path])
  }

  async removePod(uid: string): Promise<void> {
    const directory = this.podDirectory(uid)
    for (const mount of await mountsBelow(directory)) await this.unmount(mount)
    await fs.rm(directory, { recursive: true, force: true })
  }

  async pods(): Promise<readonly string[]> {
    return this.list(this.#pods)
  }
}

/** Deepest first, so that they can be unmounted in this order. */
async function mountsBelow(directory: string): Promise<string[]> {
  const table = await fs.readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const real = await fs.realpath(directory).catch(() => directory)
  return table
    .split('\n')
    .map((line) => unescapeOctal(line.split(' ')[4] ?? ''))
    .filter((path) => path === real || path.startsWith(real + sep))
    .sort((a, b) => b.length - a.length)
}

const unescapeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

async function holdsExactly(directory: string, files: ReadonlyMap<string, VolumeFile>): Promise<boolean> {
  const present = await filesBelow(directory, '')
  if (present.length !== files.size) return false
  for (const [name, file] of files) {
    const path = join(directory, name)
    const stat = await fs.stat(path).catch(() => undefined)
    if (stat === undefined || (stat.mode & 0o777) !== (file.mode & 0o777)) return false
    if (stat.size !== file.content.length) return false
    if (!(await fs.readFile(path)).equals(file.content)) return false
  }
  return true
}

async function filesBelow(directory: string, prefix: string): Promise<string[]> {
  const entries = await fs.readdir(join(directory, prefix), { withFileTypes: true }).catch(() => [])
  const found: string[] = []
  for (const entry of entries) {
    const name = prefix === '' ? entry.name : `${prefix}/${entry.name}`
    if (entry.isDirectory()) found.push(...(await filesBelow(directory, name)))
    else found.push(name)
  }
  return found
}

async function writeVolumeFile(path: string, file: VolumeFile): Promise<void> {
  await fs.mkdir(dirname(path), { recursive: true })
  await fs.writeFile(path, file.content)
  await fs.chmod(path, file.mode)
  if (file.uid !== undefined || file.gid !== undefined) await fs.chown(path, file.uid ?? -1, file.gid ?? -1)
}

async function openOrNothing(path: string): Promise<fs.FileHandle | undefined> {
  return fs.open(path, 'r').catch(ignore('ENOENT', 'ENOTDIR'))
}

/** A rejection handler that turns these error codes into undefined. */
function ignore(...codes: string[]): (error: NodeJS.ErrnoException) => undefined {
  return (error) => {
    if (error.code !== undefined && codes.includes(error.code)) return undefined
    throw error
  }
}

function plainName(name: string): string {
  if (name === '' || name === '.' || name === '..' || name.includes('/')) {
    throw new Error(`"${name}" is not a file name`)
  }
  return name
}

/** @throws Error when the path is absolute or climbs. */
function relativeName(path: string): string {
  const plain = normalize(path)
  if (plain === '' || isAbsolute(plain) || plain === '..' || plain.startsWith(`..${sep}`)) {
    throw new Error(`"${path}" is not a path below its volume`)
  }
  return plain
}
