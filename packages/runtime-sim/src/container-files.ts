import {
  append,
  contentOf,
  createFile,
  createFolder,
  ensureFolder,
  type Folder,
  find,
  type MemoryFile,
  nameOf,
  overwrite,
  parentOf,
  splitPath,
} from './memory-tree.ts'

/** Something mounted into a container: the very file or folder, whatever its path means later. */
export interface MountedEntry {
  readonly target: string
  readonly entry: Folder | MemoryFile
  readonly isReadOnly: boolean
}

/** What went wrong with a file, in the words of a C library. */
export class FileError extends Error {
  override readonly name = 'FileError'
}

/**
 * The files a container sees: its mounts over an own tree. The own tree is made only when something is
 * written to it, since most containers never do.
 */
export class ContainerFiles {
  readonly #mounts: readonly MountedEntry[]
  readonly #base: ReadonlyMap<string, string>
  readonly #isReadOnlyRoot: boolean
  #own: Folder | undefined

  /** `base`: files of the image, by path. */
  constructor(mounts: readonly MountedEntry[], base: ReadonlyMap<string, string>, isReadOnlyRoot: boolean) {
    this.#mounts = [...mounts].sort((a, b) => b.target.length - a.target.length)
    this.#base = base
    this.#isReadOnlyRoot = isReadOnlyRoot
  }

  /** @throws FileError */
  read(path: string): Buffer {
    const entry = this.#find(path)
    if (entry === undefined) throw new FileError('No such file or directory')
    if (entry.kind === 'folder') throw new FileError('Is a directory')
    return Buffer.from(contentOf(entry))
  }

  kind(path: string): 'file' | 'folder' | undefined {
    return this.#find(path)?.kind
  }

  file(path: string): MemoryFile | undefined {
    const entry = this.#find(path)
    return entry?.kind === 'file' ? entry : undefined
  }

  /** @throws FileError */
  write(path: string, content: Uint8Array, appends: boolean): void {
    const file = this.#writable(path)
    if (appends) append(file, content)
    else overwrite(file, content)
  }

  /** @throws FileError */
  list(path: string): string[] {
    const plain = normalize(path)
    const entry = this.#find(plain)
    if (entry === undefined) throw new FileError('No such file or directory')
    if (entry.kind === 'file') return [path]
    const names = new Set([...entry.entries.keys()].filter((name) => !name.startsWith('.')))
    const prefix = plain === '/' ? '/' : `${plain}/`
    for (const target of [...this.#mounts.map((mount) => mount.target), ...this.#base.keys()]) {
      if (target.startsWith(prefix)) names.add(splitPath(target.slice(prefix.length))[0]!)
    }
    return [...names].sort()
  }

  /** @throws FileError */
  makeFolder(path: string): void {
    const { folder, rest, isReadOnly } = this.#locate(path)
    if (isReadOnly) throw new FileError('Read-only file system')
    if (folder === undefined || ensureFolder(folder, rest) === undefined)
      throw new FileError('Not a directory')
  }

  /** @throws FileError */
  remove(path: string): void {
    const { folder, rest, isReadOnly } = this.#locate(path)
    if (isReadOnly) throw new FileError('Read-only file system')
    const parent = folder === undefined ? undefined : find(folder, parentOf(rest))
    if (parent?.kind !== 'folder' || !parent.entries.delete(nameOf(rest))) {
      throw new FileError('No such file or directory')
    }
  }

  #writable(path: string): MemoryFile {
    const { folder, file, rest, isReadOnly } = this.#locate(path)
    if (isReadOnly) throw new FileError('Read-only file system')
    if (file !== undefined) return file
    const parent = folder === undefined ? undefined : find(folder, parentOf(rest))
    if (parent?.kind !== 'folder') throw new FileError('No such file or directory')
    const existing = find(parent, nameOf(rest))
    if (existing?.kind === 'folder') throw new FileError('Is a directory')
    if (existing !== undefined) return existing
    const fresh = createFile(Buffer.alloc(0))
    parent.entries.set(nameOf(rest), fresh)
    return fresh
  }

  #find(path: string): Folder | MemoryFile | undefined {
    const plain = normalize(path)
    const mount = this.#mountOf(plain)
    if (mount !== undefined) {
      if (mount.entry.kind === 'file') return plain === mount.target ? mount.entry : undefined
      return find(mount.entry, plain.slice(mount.target.length))
    }
    const own = this.#own === undefined ? undefined : find(this.#own, plain)
    if (own !== undefined) return own
    const text = this.#base.get(plain)
    if (text !== undefined) return createFile(Buffer.from(text))
    const isAbove = [...this.#mounts.map((each) => each.target), ...this.#base.keys(), ...usualFolders].some(
      (each) => plain === '/' || each === plain || each.startsWith(`${plain}/`),
    )
    return isAbove ? createFolder() : undefined
  }

  #locate(path: string): {
    readonly folder: Folder | undefined
    readonly file: MemoryFile | undefined
    readonly rest: string
    readonly isReadOnly: boolean
  } {
    const plain = normalize(path)
    const mount = this.#mountOf(plain)
    if (mount === undefined) {
      this.#own ??= usualTree()
      return { folder: this.#own, file: undefined, rest: plain, isReadOnly: this.#isReadOnlyRoot }
    }
    const { entry, isReadOnly } = mount
    if (entry.kind === 'file') return { folder: undefined, file: entry, rest: '', isReadOnly }
    return { folder: entry, file: undefined, rest: plain.slice(mount.target.length), isReadOnly }
  }

  #mountOf(path: string): MountedEntry | undefined {
    return this.#mounts.find((mount) => path === mount.target || path.startsWith(`${mount.target}/`))
  }
}

const usualFolders = [
  '/tmp',
  '/root',
  '/etc',
  '/bin',
  '/usr/bin',
  '/var/log',
  '/home',
  '/dev',
  '/proc',
  '/sys',
]

function usualTree(): Folder {
  const root = createFolder()
  for (const path of usualFolders) ensureFolder(root, path)
  return root
}

/** An absolute path without `.`, `..` and double slashes. */
export function normalize(path: string): string {
  const parts: string[] = []
  for (const part of splitPath(path)) {
    if (part === '..') parts.pop()
    else parts.push(part)
  }
  return `/${parts.join('/')}`
}
