/** A text that is no protobuf message. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError'
}

/** How a value is written: as a number of variable length, in eight or four bytes, or with its length. */
export type WireType = 0 | 1 | 2 | 5

/** Reads the fields of one message. */
export class WireReader {
  readonly #bytes: Buffer
  #at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** @throws ProtobufError */
  tag(): { readonly field: number; readonly wireType: WireType } {
    const tag = Number(this.varint())
    const wireType = tag & 7
    if (wireType !== 0 && wireType !== 1 && wireType !== 2 && wireType !== 5)
      throw new ProtobufError(`wire type ${wireType} is not known`)
    return { field: tag >>> 3, wireType }
  }

  /** A whole number of 64 bits, signed. @throws ProtobufError */
  varint(): bigint {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.#bytes[this.#at++]
      if (byte === undefined) throw new ProtobufError('the message ends within a number')
      value |= BigInt(byte & 0x7f) << shift
      if ((byte & 0x80) === 0) return BigInt.asIntN(64, value)
    }
    throw new ProtobufError('a number has too many bytes')
  }

  /** @throws ProtobufError */
  bytes(): Buffer {
    return this.#take(Number(this.varint()))
  }

  /** @throws ProtobufError */
  double(): number {
    return this.#take(8).readDoubleLE()
  }

  /** Passes over a value nobody knows. @throws ProtobufError */
  pass(wireType: WireType): void {
    if (wireType === 0) this.varint()
    else if (wireType === 2) this.bytes()
    else this.#take(wireType === 1 ? 8 : 4)
  }

  #take(length: number): Buffer {
    if (length < 0 || this.#at + length > this.#bytes.length)
      throw new ProtobufError('the message ends within a value')
    const taken = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return taken
  }
}
