/** Something that takes part in a choice. */
export interface Choice {
  readonly name: string
  /** Its share, against the weights of the others. Not negative; with 0 it is never chosen. */
  readonly weight: number
}

/**
 * Chooses for an identity, always the same, and for many identities in proportion to the weights. Another weight for one
 * choice moves identities to it or away from it, and none between the others (weighted rendezvous hashing): each choice
 * draws a lot of its own for the identity, and the smallest lot by weight wins. `undefined` when nothing has any weight.
 */
export function assign<T extends Choice>(identity: string, choices: readonly T[]): T | undefined {
  let chosen: T | undefined
  let smallest = Number.POSITIVE_INFINITY
  for (const choice of choices) {
    if (choice.weight <= 0) continue
    const lot = -Math.log(drawn(`${choice.name} ${identity}`)) / choice.weight
    if (lot >= smallest) continue
    smallest = lot
    chosen = choice
  }
  return chosen
}

/** A number in (0, 1) that depends on the text alone and is spread evenly, also over texts that look alike. */
function drawn(text: string): number {
  let high = 0x811c9dc5
  let low = 0x2f0b4c47
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    high = Math.imul(high ^ code, 0x01000193)
    low = Math.imul(low ^ code, 0x5bd1e995)
    low ^= low >>> 15
  }
  const whole = mixed(high ^ low) * 2 ** 20 + (mixed(low ^ Math.imul(high, 0x85ebca6b)) >>> 12)
  return (whole + 0.5) / 2 ** 52
}

/** Lets every bit of a number depend on all of them. */
function mixed(value: number): number {
  let word = value ^ (value >>> 16)
  word = Math.imul(word, 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return (word ^ (word >>> 16)) >>> 0
}
