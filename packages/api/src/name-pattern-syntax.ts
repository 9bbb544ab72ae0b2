/** What a regular expression is made of. Greedy or not makes no difference to whether it occurs. */
export type PatternNode =
  | { readonly kind: 'character'; readonly accepts: (code: number) => boolean }
  | {
      readonly kind: 'assertion'
      readonly what: 'begin' | 'end' | 'line-begin' | 'line-end' | 'word' | 'no-word'
    }
  | { readonly kind: 'sequence' | 'choice'; readonly nodes: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly node: PatternNode; readonly least: number; readonly most: number }

/** The text is no regular expression of RE2. */
export class PatternError extends Error {
  override readonly name = 'PatternError'
}

interface Flags {
  readonly i: boolean
  readonly m: boolean
  readonly s: boolean
}

type Test = (code: number) => boolean

const within = (...ranges: readonly (readonly [string, string])[]): Test => {
  const codes = ranges.map(([first, last]) => [first.codePointAt(0) ?? 0, last.codePointAt(0) ?? 0] as const)
  return (code) => codes.some(([first, last]) => code >= first && code <= last)
}
const digit = within(['0', '9'])
const word = within(['0', '9'], ['A', 'Z'], ['a', 'z'], ['_', '_'])
const space: Test = (code) => [9, 10, 12, 13, 32].includes(code)
const not =
  (test: Test): Test =>
  (code) =>
    !test(code)

const shorthands: Readonly<Record<string, Test>> = {
  d: digit,
  D: not(digit),
  w: word,
  W: not(word),
  s: space,
  S: not(space),
}
const named: Readonly<Record<string, Test>> = {
  alnum: within(['0', '9'], ['A', 'Z'], ['a', 'z']),
  alpha: within(['A', 'Z'], ['a', 'z']),
  ascii: (code) => code < 128,
  blank: (code) => code === 9 || code === 32,
  digit,
  lower: within(['a', 'z']),
  punct: within(['!', '/'], [':', '@'], ['[', '`'], ['{', '~']),
  space: (code) => space(code) || code === 11,
  upper: within(['A', 'Z']),
  word,
  xdigit: within(['0', '9'], ['A', 'F'], ['a', 'f']),
}
const controls: Readonly<Record<string, number>> = { a: 7, f: 12, t: 9, n: 10, r: 13, v: 11 }

/** Reads RE2's syntax, without Unicode classes. @throws PatternError */
export function parsePattern(source: string): PatternNode {
  const reader = new PatternReader([...source])
  return reader.parse()
}

const deepest = 100
const mostRepeats = 1_000

class PatternReader {
  readonly #characters: readonly string[]
  #at = 0
  #depth = 0
  #flags: Flags = { i: false, m: false, s: false }

  constructor(characters: readonly string[]) {
    this.#characters = characters
  }

  parse(): PatternNode {
    const node = this.#choice()
    if (this.#at < this.#characters.length) throw new PatternError('unexpected )')
    return node
  }

  get #next(): string | undefined {
    return this.#characters[this.#at]
  }

  #looksAt(text: string): boolean {
    return this.#characters.slice(this.#at, this.#at + text.length).join('') === text
  }

  #takes(text: string): boolean {
    if (!this.#looksAt(text)) return false
    this.#at += text.length
    return true
  }

  #choice(): PatternNode {
    if (++this.#depth > deepest) throw new PatternError('nested too deep')
    const flags = this.#flags
    const nodes = [this.#sequence()]
    while (this.#takes('|')) nodes.push(this.#sequence())
    this.#flags = flags
    this.#depth--
    return nodes.length === 1 ? (nodes[0] as PatternNode) : { kind: 'choice', nodes }
  }

  #sequence(): PatternNode {
    const nodes: PatternNode[] = []
    while (this.#next !== undefined && this.#next !== '|' && this.#next !== ')') {
      if (this.#takes('\\Q')) {
        while (this.#next !== undefined && !this.#takes('\\E')) nodes.push(this.#literal(this.#take()))
        continue
      }
      const atom = this.#atom()
      if (atom !== undefined) nodes.push(this.#repeated(atom))
    }
    return { kind: 'sequence', nodes }
  }

  #take(): string {
    const character = this.#next
    if (character === undefined) throw new PatternError('unexpected end')
    this.#at++
    return character
  }

  #repeated(atom: PatternNode): PatternNode {
    const bounds = this.#bounds()
    if (bounds === undefined) return atom
    this.#takes('?')
    if (this.#bounds() !== undefined) throw new PatternError('repeated repetition')
    return { kind: 'repeat', node: atom, ...bounds }
  }

  #bounds(): { least: number; most: number } | undefined {
    if (this.#takes('*')) return { least: 0, most: Number.POSITIVE_INFINITY }
    if (this.#takes('+')) return { least: 1, most: Number.POSITIVE_INFINITY }
    if (this.#takes('?')) return { least: 0, most: 1 }
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.#characters.slice(this.#at, this.#at + 16).join(''))
    if (match === null) return undefined
    const least = Number(match[1])
    const most = match[2] === undefined ? least : match[3] ? Number(match[3]) : Number.POSITIVE_INFINITY
    if (least > most || least > mostRepeats || (Number.isFinite(most) && most > mostRepeats))
      throw new PatternError('invalid repeat count')
    this.#at += match[0].length
    return { least, most }
  }

  #atom(): PatternNode | undefined {
    const { m, s } = this.#flags
    const character = this.#take()
    switch (character) {
      case '(':
        return this.#group()
      case '[':
        return { kind: 'character', accepts: this.#class() }
      case '.':
        return { kind: 'character', accepts: s ? () => true : (code) => code !== 10 }
      case '^':
        return { kind: 'assertion', what: m ? 'line-begin' : 'begin' }
      case '$':
        return { kind: 'assertion', what: m ? 'line-end' : 'end' }
      case '\\':
        return this.#escape()
      case '*':
      case '+':
      case '?':
        throw new PatternError(`nothing to repeat before ${character}`)
      default:
        return this.#literal(character)
    }
  }

  /** A group, or `undefined` for flags that hold from here on. */
  #group(): PatternNode | undefined {
    const flags = this.#flags
    if (this.#takes('?')) {
      const name = /^P?<\w+>/.exec(this.#characters.slice(this.#at, this.#at + 256).join(''))?.[0]
      if (name !== undefined) this.#at += name.length
      else if (this.#takeFlags() === ')') return undefined
    }
    const inner = this.#choice()
    if (!this.#takes(')')) throw new PatternError('missing )')
    this.#flags = flags
    return inner
  }

  #takeFlags(): ':' | ')' {
    let isOn = true
    for (;;) {
      const flag = this.#take()
      if (flag === ':' || flag === ')') return flag
      if (flag === '-') isOn = false
      else if (flag === 'i' || flag === 'm' || flag === 's') this.#flags = { ...this.#flags, [flag]: isOn }
      else if (flag !== 'U') throw new PatternError('invalid group')
    }
  }

  #escape(): PatternNode {
    const character = this.#take()
    switch (character) {
      case 'A':
        return { kind: 'assertion', what: 'begin' }
      case 'z':
        return { kind: 'assertion', what: 'end' }
      case 'b':
        return { kind: 'assertion', what: 'word' }
      case 'B':
        return { kind: 'assertion', what: 'no-word' }
      default: {
        const shorthand = shorthands[character]
        if (shorthand !== undefined) return { kind: 'character', accepts: shorthand }
        return this.#literal(String.fromCodePoint(this.#escapedCode(character)))
      }
    }
  }

  #escapedCode(character: string): number {
    const control = controls[character]
    if (control !== undefined) return control
    if (character === 'x') {
      const rest = this.#characters.slice(this.#at, this.#at + 10).join('')
      const match = /^(?:\{([0-9A-Fa-f]{1,6})\}|([0-9A-Fa-f]{2}))/.exec(rest)
      const code = Number.parseInt(match?.[1] ?? match?.[2] ?? '', 16)
      if (match === null || code > 0x10ffff) throw new PatternError('invalid escape')
      this.#at += match[0].length
      return code
    }
    if (/[A-Za-z0-9]/.test(character)) throw new PatternError(`invalid escape \\${character}`)
    return character.codePointAt(0) ?? 0
  }

  #literal(character: string): PatternNode {
    return { kind: 'character', accepts: this.#folded((code) => code === character.codePointAt(0)) }
  }

  /** With the flag `i` a letter stands for both of its cases. */
  #folded(test: Test): Test {
    if (!this.#flags.i) return test
    return (code) => {
      const character = String.fromCodePoint(code)
      return [character, character.toLowerCase(), character.toUpperCase()].some((form) =>
        test(form.codePointAt(0) ?? 0),
      )
    }
  }

  #class(): Test {
    const isNegated = this.#takes('^')
    const tests: Test[] = []
    for (let isFirst = true; isFirst || this.#next !== ']'; isFirst = false) tests.push(this.#classItem())
    this.#at++
    const any = this.#folded((code) => tests.some((test) => test(code)))
    return isNegated ? not(any) : any
  }

  #classItem(): Test {
    const posix = /^\[:(\^?)(\w+):\]/.exec(this.#characters.slice(this.#at, this.#at + 16).join(''))
    if (posix !== null) {
      const test = named[posix[2] ?? '']
      if (test === undefined) throw new PatternError('invalid character class')
      this.#at += posix[0].length
      return posix[1] ? not(test) : test
    }
    const first = this.#classCharacter()
    if (typeof first === 'function') return first
    if (this.#next !== '-' || this.#characters[this.#at + 1] === ']') return (code) => code === first
    this.#at++
    const last = this.#classCharacter()
    if (typeof last === 'function' || last < first) throw new PatternError('invalid character range')
    return (code) => code >= first && code <= last
  }

  #classCharacter(): number | Test {
    const character = this.#take()
    if (character !== '\\') return character.codePointAt(0) ?? 0
    const escaped = this.#take()
    return shorthands[escaped] ?? this.#escapedCode(escaped)
  }
}
