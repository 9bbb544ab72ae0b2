import type { PodFiles, PodIdentity, VolumeFile } from '@outrigger/kubelet/runtime'
import {
  contentOf,
  createFile,
  createFolder,
  type Entry,
  ensureFolder,
  type Folder,
  find,
  type MemoryFile,
  nameOf,
  overwrite,
  parentOf,
  splitPath,
} from './memory-tree.ts'

const readSize = 64 * 1024
const podsRoot = '/sim/pods'
const logsRoot = '/sim/logs'

/** Volumes and logs of simulated pods. */
export class MemoryPodFiles implements PodFiles {
  readonly root: Folder = createFolder()
  #generation = 0

  podDirectory(uid: string): string {
    return `${podsRoot}/${uid}`
  }

  logDirectory(pod: PodIdentity): string {
    return `${logsRoot}/${pod.namespace}_${pod.name}_${pod.uid}`
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    const folder = ensureFolder(this.root, path)
    if (folder === undefined) throw new Error(`${path}: not a folder`)
    folder.mode = mode
  }

  async writeAtomically(directory: string, files: ReadonlyMap<string, VolumeFile>): Promise<boolean> {
    for (const name of files.keys()) checkRelative(name)
    const folder = ensureFolder(this.root, directory)
    if (folder === undefined) throw new Error(`${directory}: not a folder`)
    const link = folder.entries.get('..data')
    const current = link?.kind === 'link' ? link.target : undefined
    if (current !== undefined && holdsExactly(folder, current, files)) return false
    const fresh = `..data-${++this.#generation}`
    const data = createFolder()
    for (const [name, file] of files) {
      const parent = ensureFolder(data, parentOf(name))
      parent?.entries.set(nameOf(name), createFile(file.content, file.mode))
    }
    folder.entries.set(fresh, data)
    folder.entries.set('..data', { kind: 'link', target: fresh })
    const wanted = new Set([...files.keys()].map((name) => splitPath(name)[0]!))
    for (const name of [...folder.entries.keys()]) {
      if (!name.startsWith('..') && !wanted.has(name)) folder.entries.delete(name)
    }
    for (const name of wanted) folder.entries.set(name, { kind: 'link', target: `..data/${name}` })
    if (current !== undefined) folder.entries.delete(current)
    return true
  }

  async writeFile(path: string, content: Uint8Array, mode: number): Promise<void> {
    const existing = find(this.root, path)
    if (existing?.kind === 'file') {
      existing.mode = mode
      overwrite(existing, content)
      return
    }
    const parent = ensureFolder(this.root, parentOf(path))
    if (parent === undefined) throw new Error(`${path}: not a folder`)
    parent.entries.set(nameOf(path), createFile(content, mode))
  }

  async readTail(path: string, maxBytes: number): Promise<Buffer | undefined> {
    const file = this.#file(path)
    if (file === undefined) return undefined
    return Buffer.from(contentOf(file).subarray(Math.max(0, file.size - maxBytes)))
  }

  async read(path: string, offset: number): Promise<Buffer | undefined> {
    const file = this.#file(path)
    return file === undefined ? undefined : Buffer.from(contentOf(file).subarray(offset, offset + readSize))
  }

  async size(path: string): Promise<number | undefined> {
    return this.#file(path)?.size
  }

  async kind(path: string): Promise<'file' | 'directory' | 'other' | undefined> {
    const entry = find(this.root, path)
    return entry === undefined ? undefined : entry.kind === 'file' ? 'file' : 'directory'
  }

  /** Files of pods are linked here by name, not by place: what a link leads to is mounted itself. */
  async resolveBelow(directory: string, subPath: string): Promise<string> {
    checkRelative(subPath)
    const base = find(this.root, directory)
    if (base?.kind !== 'folder') throw new Error(`${directory}: no such folder`)
    if (find(base, subPath) === undefined) ensureFolder(base, subPath, 0o750)
    return `${directory}/${splitPath(subPath).join('/')}`
  }

  async list(directory: string): Promise<readonly string[]> {
    const folder = find(this.root, directory)
    return folder?.kind === 'folder' ? [...folder.entries.keys()].sort() : []
  }

  async rename(from: string, to: string): Promise<void> {
    const parent = find(this.root, parentOf(from))
    const entry = parent?.kind === 'folder' ? parent.entries.get(nameOf(from)) : undefined
    const target = ensureFolder(this.root, parentOf(to))
    if (parent?.kind !== 'folder' || entry === undefined || target === undefined) {
      throw new Error(`${from}: no such file`)
    }
    parent.entries.delete(nameOf(from))
    target.entries.set(nameOf(to), entry)
    this.#tellMoved(entry)
  }

  async remove(path: string): Promise<void> {
    const parent = find(this.root, parentOf(path))
    if (parent?.kind === 'folder') parent.entries.delete(nameOf(path))
  }

  watch(path: string, onChange: () => void): () => void {
    const file = this.#file(path)
    if (file === undefined) return () => {}
    file.listeners ??= new Set()
    file.listeners.add(onChange)
    return () => {
      file.listeners?.delete(onChange)
      if (file.listeners?.size === 0) file.listeners = undefined
    }
  }

  async removePod(uid: string): Promise<void> {
    await this.remove(this.podDirectory(uid))
  }

  async pods(): Promise<readonly string[]> {
    return this.list(podsRoot)
  }

  /** The file at a path, made where it is missing. */
  ensureFile(path: string, mode: number): MemoryFile {
    const existing = this.#file(path)
    if (existing !== undefined) return existing
    const file = createFile(Buffer.alloc(0), mode)
    ensureFolder(this.root, parentOf(path))?.entries.set(nameOf(path), file)
    return file
  }

  #file(path: string): MemoryFile | undefined {
    const entry = find(this.root, path)
    return entry?.kind === 'file' ? entry : undefined
  }

  #tellMoved(entry: Entry): void {
    if (entry.kind === 'file') for (const listener of [...(entry.listeners ?? [])]) listener()
  }
}

function checkRelative(path: string): void {
  if (path === '' || path.startsWith('/') || splitPath(path).includes('..')) {
    throw new Error(`"${path}" is not a path below its volume`)
  }
}

function holdsExactly(folder: Folder, name: string, files: ReadonlyMap<string, VolumeFile>): boolean {
  const data = folder.entries.get(name)
  if (data?.kind !== 'folder' || countFiles(data) !== files.size) return false
  for (const [path, file] of files) {
    const found = find(data, path)
    if (found?.kind !== 'file' || found.mode !== file.mode || !contentOf(found).equals(file.content))
      return false
  }
  return true
}

function countFiles(folder: Folder): number {
  let count = 0
  for (const entry of folder.entries.values()) count += entry.kind === 'folder' ? countFiles(entry) : 1
  return count
}
