const factors: Readonly<Record<string, bigint>> = {
  n: 1n,
  u: 1_000n,
  m: 1_000_000n,
  '': 1_000_000_000n,
  k: 10n ** 12n,
  M: 10n ** 15n,
  G: 10n ** 18n,
  T: 10n ** 21n,
  P: 10n ** 24n,
  E: 10n ** 27n,
  Ki: 1_000_000_000n * 2n ** 10n,
  Mi: 1_000_000_000n * 2n ** 20n,
  Gi: 1_000_000_000n * 2n ** 30n,
  Ti: 1_000_000_000n * 2n ** 40n,
  Pi: 1_000_000_000n * 2n ** 50n,
  Ei: 1_000_000_000n * 2n ** 60n,
}

/** A resource quantity inside CEL: an exact number of thousand-millionths, rounded up as Kubernetes does. */
export class CelQuantity {
  readonly nanos: bigint

  constructor(nanos: bigint) {
    this.nanos = nanos
  }

  static parse(text: string): CelQuantity | undefined {
    const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:([numkMGTPE]|[KMGTPE]i)|[eE]([+-]?\d{1,2}))?$/.exec(text)
    if (match === null || text.length > 64) return undefined
    const [, sign, whole = '', fraction = '', suffix = '', exponent] = match
    if (whole === '' && fraction === '') return undefined
    const power = Number(exponent ?? 0)
    const factor = (factors[suffix] ?? 1n) * (power > 0 ? 10n ** BigInt(power) : 1n)
    const scale = 10n ** BigInt(fraction.length + (power < 0 ? -power : 0))
    const exact = BigInt(`${whole}${fraction}`) * factor
    const rounded = (exact + scale - 1n) / scale
    return new CelQuantity(sign === '-' ? -rounded : rounded)
  }

  get isInteger(): boolean {
    return this.nanos % 1_000_000_000n === 0n
  }

  compare(other: CelQuantity): -1 | 0 | 1 {
    if (this.nanos === other.nanos) return 0
    return this.nanos < other.nanos ? -1 : 1
  }
}
