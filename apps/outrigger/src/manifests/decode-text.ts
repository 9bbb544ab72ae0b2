const byteOrderMarks: readonly (readonly [mark: readonly number[], encoding: string])[] = [
  [[0xff, 0xfe], 'utf-16le'],
  [[0xfe, 0xff], 'utf-16be'],
]

/**
 * The text in a file, without its byte order mark: UTF-8, or UTF-16 where the mark says so, as some Windows tools write it.
 * `undefined` when the bytes are no such text.
 */
export function decodeText(bytes: Uint8Array): string | undefined {
  const marked = byteOrderMarks.find(([mark]) => mark.every((byte, i) => bytes[i] === byte))
  try {
    const text = new TextDecoder(marked?.[1] ?? 'utf-8', { fatal: true }).decode(bytes)
    // YAML knows no such character; binary files are full of it.
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}
