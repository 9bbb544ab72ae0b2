/** One entry of an archive. Owners default to root. */
export type TarEntry =
  | { readonly kind: 'file'; readonly path: string; readonly mode: number; readonly content: Uint8Array }
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'link'; readonly path: string; readonly target: string }

const typeFlags = { file: '0', directory: '5', link: '2' } as const

/**
 * Packs entries, in the order given, into a POSIX tar (ustar). Owner 0, time 0: the same entries give the
 * same bytes.
 *
 * @throws RangeError for a path that does not fit: more than 100 bytes after its last usable slash.
 */
export function packTar(entries: readonly TarEntry[]): Buffer {
  const blocks: Buffer[] = []
  for (const entry of entries) {
    const content = entry.kind === 'file' ? Buffer.from(entry.content) : Buffer.alloc(0)
    blocks.push(header(entry, content.length), content, Buffer.alloc((512 - (content.length % 512)) % 512))
  }
  blocks.push(Buffer.alloc(1024))
  return Buffer.concat(blocks)
}

function header(entry: TarEntry, size: number): Buffer {
  const block = Buffer.alloc(512)
  const { prefix, name } = splitPath(entry.kind === 'directory' ? `${entry.path}/` : entry.path)
  block.write(name, 0)
  block.write(octal(entry.kind === 'link' ? 0o777 : entry.mode, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(size, 11), 124)
  block.write(octal(0, 11), 136)
  block.write('        ', 148)
  block.write(typeFlags[entry.kind], 156)
  if (entry.kind === 'link') block.write(fitting(entry.target, 100), 157)
  block.write('ustar\x0000', 257)
  block.write(prefix, 345)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

function splitPath(path: string): { readonly prefix: string; readonly name: string } {
  if (Buffer.byteLength(path) <= 100) return { prefix: '', name: path }
  for (let at = path.indexOf('/'); at >= 0 && at < path.length - 1; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)]
    if (Buffer.byteLength(prefix) <= 155 && Buffer.byteLength(name) <= 100) return { prefix, name }
  }
  throw new RangeError(`path does not fit into a tar header: ${path}`)
}

function fitting(text: string, bytes: number): string {
  if (Buffer.byteLength(text) > bytes) throw new RangeError(`does not fit into a tar header: ${text}`)
  return text
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0')
}
