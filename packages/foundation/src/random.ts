import { randomBytes, randomInt, randomUUID } from 'node:crypto'

/** The only way chance enters the program. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** An RFC 4122 version 4 UUID in lower case. */
  uuid(): string
  /** `length` characters of the alphabet Kubernetes uses for generated names. */
  suffix(length: number): string
  /** `length` unguessable bytes. */
  bytes(length: number): Uint8Array
}

const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** Chance from the machine's cryptographic source. */
export class SystemRandom implements Random {
  next(): number {
    return randomInt(2 ** 32) / 2 ** 32
  }

  uuid(): string {
    return randomUUID()
  }

  suffix(length: number): string {
    let text = ''
    for (const byte of randomBytes(length)) text += nameAlphabet[byte % nameAlphabet.length]
    return text
  }

  bytes(length: number): Uint8Array {
    return randomBytes(length)
  }
}

/** The same sequence every time for the same seed. For tests and simulations. */
export class SeededRandom implements Random {
  #state: number

  constructor(seed = 1) {
    this.#state = seed >>> 0
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  uuid(): string {
    const hex = Buffer.from(this.bytes(16)).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`
  }

  suffix(length: number): string {
    return Array.from({ length }, () => nameAlphabet[Math.floor(this.next() * nameAlphabet.length)]).join('')
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => Math.floor(this.next() * 256))
  }
}
