/** Writes the fields of one message. Empty values are left out, as proto3 does. */
export class WireWriter {
  readonly #parts: Buffer[] = []
  #length = 0

  /** The message so far. */
  finish(): Buffer {
    return Buffer.concat(this.#parts, this.#length)
  }

  text(field: number, value: string | undefined): this {
    return value === undefined || value === '' ? this : this.#delimited(field, Buffer.from(value))
  }

  texts(field: number, values: readonly string[] | undefined): this {
    // An element of a list counts even when it is empty.
    for (const value of values ?? []) this.#delimited(field, Buffer.from(value))
    return this
  }

  flag(field: number, value: boolean | undefined): this {
    return value === true ? this.#add(Buffer.from([...varint(field << 3), 1])) : this
  }

  /** A whole number, zero or more. */
  count(field: number, value: number | undefined): this {
    if (value === undefined || !(value > 0)) return this
    return this.#add(Buffer.from([...varint(field << 3), ...varint(value)]))
  }

  double(field: number, value: number | undefined): this {
    if (value === undefined || value === 0) return this
    const number = Buffer.alloc(8)
    number.writeDoubleLE(value)
    return this.#add(Buffer.from(varint((field << 3) | 1))).#add(number)
  }

  /** A message within this one; written even when it is empty. */
  message(field: number, write: (inner: WireWriter) => void): this {
    const inner = new WireWriter()
    write(inner)
    return this.#delimited(field, inner.finish())
  }

  #delimited(field: number, bytes: Buffer): this {
    return this.#add(Buffer.from([...varint((field << 3) | 2), ...varint(bytes.length)])).#add(bytes)
  }

  #add(bytes: Buffer): this {
    this.#parts.push(bytes)
    this.#length += bytes.length
    return this
  }
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  bytes.push(rest)
  return bytes
}
