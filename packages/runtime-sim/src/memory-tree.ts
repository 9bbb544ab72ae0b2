/** A tree of files in memory. Folders, files and links are plain values that may be held on to. */
export interface Folder {
  readonly kind: 'folder'
  readonly entries: Map<string, Entry>
  mode: number
}

export interface MemoryFile {
  readonly kind: 'file'
  bytes: Buffer
  size: number
  mode: number
  listeners: Set<() => void> | undefined
}

export interface Link {
  readonly kind: 'link'
  readonly target: string
}

export type Entry = Folder | MemoryFile | Link

export function createFolder(mode = 0o755): Folder {
  return { kind: 'folder', entries: new Map(), mode }
}

export function createFile(content: Uint8Array, mode = 0o644): MemoryFile {
  return { kind: 'file', bytes: Buffer.from(content), size: content.length, mode, listeners: undefined }
}

export function contentOf(file: MemoryFile): Buffer {
  return file.bytes.subarray(0, file.size)
}

/** Adds to the end of a file and tells who watches it. */
export function append(file: MemoryFile, content: Uint8Array): void {
  const size = file.size + content.length
  if (size > file.bytes.length) {
    const grown = Buffer.alloc(
      Math.max(size, Math.min(file.bytes.length * 2, file.bytes.length + 1024 * 1024), 128),
    )
    file.bytes.copy(grown, 0, 0, file.size)
    file.bytes = grown
  }
  file.bytes.set(content, file.size)
  file.size = size
  tell(file)
}

/** Puts new content in the place of the old. */
export function overwrite(file: MemoryFile, content: Uint8Array): void {
  file.bytes = Buffer.from(content)
  file.size = content.length
  tell(file)
}

function tell(file: MemoryFile): void {
  if (file.listeners !== undefined) for (const listener of [...file.listeners]) listener()
}

const maxLinks = 16

/** The entry at a path below a folder; links are followed, relative to where they lie. */
export function find(root: Folder, path: string): Folder | MemoryFile | undefined {
  return walk(root, splitPath(path), 0)
}

function walk(root: Folder, parts: readonly string[], links: number): Folder | MemoryFile | undefined {
  const trail: Folder[] = [root]
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]!
    if (part === '..') {
      if (trail.length > 1) trail.pop()
      continue
    }
    const entry = trail.at(-1)!.entries.get(part)
    if (entry === undefined) return undefined
    if (entry.kind === 'link') {
      if (links >= maxLinks) return undefined
      const base = entry.target.startsWith('/') ? root : trail.at(-1)!
      const target = walk(base, splitPath(entry.target), links + 1)
      const rest = parts.slice(index + 1)
      if (target === undefined || rest.length === 0) return target
      return target.kind === 'folder' ? walk(target, rest, links + 1) : undefined
    }
    if (entry.kind === 'file') return index === parts.length - 1 ? entry : undefined
    trail.push(entry)
  }
  return trail.at(-1)
}

/** Makes the folders of a path that are missing. Undefined when a file is in the way. */
export function ensureFolder(root: Folder, path: string, mode = 0o755): Folder | undefined {
  let folder = root
  for (const part of splitPath(path)) {
    const entry = folder.entries.get(part)
    if (entry === undefined) {
      const fresh = createFolder(mode)
      folder.entries.set(part, fresh)
      folder = fresh
      continue
    }
    const found = entry.kind === 'link' ? find(folder, part) : entry
    if (found?.kind !== 'folder') return undefined
    folder = found
  }
  return folder
}

/** Whole parts of a path, without empty ones and `.`. */
export function splitPath(path: string): string[] {
  return path.split('/').filter((part) => part !== '' && part !== '.')
}

export function parentOf(path: string): string {
  return `/${splitPath(path).slice(0, -1).join('/')}`
}

export function nameOf(path: string): string {
  return splitPath(path).at(-1) ?? ''
}
