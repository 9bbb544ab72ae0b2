/** A piece of a word. `quoted` pieces are not split at blanks. */
export type WordPart =
  | { readonly kind: 'text'; readonly text: string; readonly isQuoted: boolean }
  | {
      readonly kind: 'variable'
      readonly name: string
      readonly fallback: Word | undefined
      readonly isQuoted: boolean
    }
  | { readonly kind: 'command'; readonly script: Command; readonly isQuoted: boolean }
  | { readonly kind: 'arithmetic'; readonly text: string; readonly isQuoted: boolean }

export type Word = readonly WordPart[]

export interface Redirect {
  readonly fd: number
  readonly kind: '>' | '>>' | '<' | '>&'
  readonly target: Word
}

export type Command =
  | {
      readonly kind: 'simple'
      readonly assignments: readonly { readonly name: string; readonly value: Word }[]
      readonly words: readonly Word[]
      readonly redirects: readonly Redirect[]
    }
  | { readonly kind: 'sequence'; readonly commands: readonly Command[] }
  | { readonly kind: 'and' | 'or'; readonly left: Command; readonly right: Command }
  | { readonly kind: 'not'; readonly command: Command }
  | { readonly kind: 'pipe'; readonly commands: readonly Command[] }
  | { readonly kind: 'background'; readonly command: Command }
  | { readonly kind: 'group' | 'subshell'; readonly body: Command; readonly redirects: readonly Redirect[] }
  | {
      readonly kind: 'if'
      readonly condition: Command
      readonly then: Command
      readonly otherwise: Command | undefined
    }
  | { readonly kind: 'while'; readonly condition: Command; readonly body: Command; readonly isUntil: boolean }
  | { readonly kind: 'for'; readonly name: string; readonly words: readonly Word[]; readonly body: Command }

/** The script is not understood. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError'
}

type Token =
  | { readonly kind: 'word'; readonly word: Word; readonly plain: string | undefined }
  | { readonly kind: 'operator'; readonly text: string }
  | { readonly kind: 'end' }

/** Parses the part of the shell's language that test pods use. @throws ScriptError */
export function parseScript(text: string): Command {
  const parser = new Parser(tokenize(text))
  return parser.parse()
}

const operators = ['&&', '||', ';;', '>>', '>&', '<&', '\n', ';', '&', '|', '(', ')', '<', '>']

function tokenize(text: string): Token[] {
  const tokens: Token[] = []
  const reader = new WordReader(text)
  for (;;) {
    reader.skipBlanks()
    if (reader.isAtEnd) break
    const digit = /^\d(?=[<>])/.exec(text.slice(reader.position))
    if (digit !== null) {
      reader.position++
      const operator = operators.find((each) => text.startsWith(each, reader.position))!
      reader.position += operator.length
      tokens.push({ kind: 'operator', text: `${digit[0]}${operator}` })
      continue
    }
    const operator = operators.find((each) => text.startsWith(each, reader.position))
    if (operator !== undefined) {
      reader.position += operator.length
      tokens.push({ kind: 'operator', text: operator === '\n' ? ';' : operator })
      continue
    }
    const word = reader.word()
    const plain = word.every((part) => part.kind === 'text' && !part.isQuoted)
      ? word.map((part) => (part.kind === 'text' ? part.text : '')).join('')
      : undefined
    tokens.push({ kind: 'word', word, plain })
  }
  tokens.push({ kind: 'end' })
  return tokens
}

class WordReader {
  position = 0
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.position >= this.#text.length
  }

  skipBlanks(): void {
    for (;;) {
      const rest = this.#text.slice(this.position)
      const skipped = /^(?:[ \t\r]|\\\n)+/.exec(rest) ?? /^#[^\n]*/.exec(rest)
      if (skipped === null) return
      this.position += skipped[0].length
    }
  }

  word(): Word {
    const parts: WordPart[] = []
    while (!this.isAtEnd && !/[\s;&|<>()]/.test(this.#peek())) {
      const char = this.#peek()
      if (char === "'") parts.push({ kind: 'text', text: this.#until("'"), isQuoted: true })
      else if (char === '"') parts.push(...this.#doubleQuoted())
      else if (char === '\\') {
        this.position++
        parts.push({ kind: 'text', text: this.#take(), isQuoted: true })
      } else if (char === '$' || char === '`') parts.push(this.#expansion(false))
      else parts.push({ kind: 'text', text: this.#plain(), isQuoted: false })
    }
    return parts
  }

  #plain(): string {
    const match = /^[^\s;&|<>()'"\\$`]+/.exec(this.#text.slice(this.position))
    const text = match?.[0] ?? this.#peek()
    this.position += text.length
    return text
  }

  #doubleQuoted(): WordPart[] {
    this.position++
    const parts: WordPart[] = [{ kind: 'text', text: '', isQuoted: true }]
    while (!this.isAtEnd && this.#peek() !== '"') {
      const char = this.#peek()
      if (char === '\\' && /["\\$`\n]/.test(this.#text[this.position + 1] ?? '')) {
        this.position++
        parts.push({ kind: 'text', text: this.#take(), isQuoted: true })
      } else if (char === '$' || char === '`') parts.push(this.#expansion(true))
      else parts.push({ kind: 'text', text: this.#take(), isQuoted: true })
    }
    if (this.isAtEnd) throw new ScriptError('unterminated quoted string')
    this.position++
    return parts
  }

  #expansion(isQuoted: boolean): WordPart {
    if (this.#peek() === '`') return { kind: 'command', script: parseScript(this.#until('`')), isQuoted }
    this.position++
    const rest = this.#text.slice(this.position)
    if (rest.startsWith('((')) {
      const end = rest.indexOf('))')
      if (end < 0) throw new ScriptError('unterminated arithmetic')
      this.position += end + 2
      return { kind: 'arithmetic', text: rest.slice(2, end), isQuoted }
    }
    if (rest.startsWith('('))
      return { kind: 'command', script: parseScript(this.#balanced('(', ')')), isQuoted }
    if (rest.startsWith('{')) {
      const inner = this.#balanced('{', '}')
      const match = /^([A-Za-z_]\w*|[?$!#@*\d])(?::?-([\s\S]*))?$/.exec(inner)
      if (match === null) throw new ScriptError(`bad substitution: \${${inner}}`)
      const fallback = match[2] === undefined ? undefined : new WordReader(match[2]).#wholeWord()
      return { kind: 'variable', name: match[1]!, fallback, isQuoted }
    }
    const name = /^(?:[A-Za-z_]\w*|[?$!#@*\d])/.exec(rest)?.[0]
    if (name === undefined) return { kind: 'text', text: '$', isQuoted }
    this.position += name.length
    return { kind: 'variable', name, fallback: undefined, isQuoted }
  }

  #wholeWord(): Word {
    const parts: WordPart[] = []
    while (!this.isAtEnd) {
      const word = this.word()
      parts.push(...word)
      if (word.length === 0) parts.push({ kind: 'text', text: this.#take(), isQuoted: true })
    }
    return parts
  }

  #balanced(open: string, close: string): string {
    let depth = 0
    const start = this.position
    for (; !this.isAtEnd; this.position++) {
      const char = this.#peek()
      if (char === "'" && open === '(') {
        this.#until("'")
        this.position--
      } else if (char === open) depth++
      else if (char === close && --depth === 0) {
        this.position++
        return this.#text.slice(start + 1, this.position - 1)
      }
    }
    throw new ScriptError(`missing ${close}`)
  }

  #until(mark: string): string {
    const end = this.#text.indexOf(mark, this.position + 1)
    if (end < 0) throw new ScriptError('unterminated quoted string')
    const text = this.#text.slice(this.position + 1, end)
    this.position = end + 1
    return text
  }

  #peek(): string {
    return this.#text[this.position] ?? ''
  }

  #take(): string {
    return this.#text[this.position++] ?? ''
  }
}

const closers = new Set(['then', 'else', 'elif', 'fi', 'do', 'done', '}'])

class Parser {
  readonly #tokens: readonly Token[]
  #position = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }

  parse(): Command {
    const script = this.#sequence()
    if (this.#peek().kind !== 'end') throw new ScriptError('syntax error')
    return script
  }

  #sequence(): Command {
    const commands: Command[] = []
    for (;;) {
      while (this.#isOperator(';')) this.#position++
      if (this.#isAtClose()) break
      let command = this.#andOr()
      if (this.#isOperator('&')) {
        this.#position++
        command = { kind: 'background', command }
      }
      commands.push(command)
      if (!this.#isOperator(';') && command.kind !== 'background') break
    }
    return commands.length === 1 ? commands[0]! : { kind: 'sequence', commands }
  }

  #andOr(): Command {
    let left = this.#pipeline()
    while (this.#isOperator('&&') || this.#isOperator('||')) {
      const kind = this.#isOperator('&&') ? 'and' : 'or'
      this.#position++
      while (this.#isOperator(';')) this.#position++
      left = { kind, left, right: this.#pipeline() }
    }
    return left
  }

  #pipeline(): Command {
    if (this.#isWord('!')) {
      this.#position++
      return { kind: 'not', command: this.#pipeline() }
    }
    const commands = [this.#command()]
    while (this.#isOperator('|')) {
      this.#position++
      commands.push(this.#command())
    }
    return commands.length === 1 ? commands[0]! : { kind: 'pipe', commands }
  }

  #command(): Command {
    if (this.#isOperator('(')) {
      this.#position++
      const body = this.#sequence()
      this.#expectOperator(')')
      return { kind: 'subshell', body, redirects: this.#redirects() }
    }
    if (this.#takeWord('{')) {
      const body = this.#sequence()
      this.#expectWord('}')
      return { kind: 'group', body, redirects: this.#redirects() }
    }
    if (this.#takeWord('if')) return this.#if()
    if (this.#isWord('while') || this.#isWord('until')) return this.#loop()
    if (this.#takeWord('for')) return this.#for()
    return this.#simple()
  }

  #if(): Command {
    const condition = this.#sequence()
    this.#expectWord('then')
    const then = this.#sequence()
    let otherwise: Command | undefined
    if (this.#takeWord('elif')) return { kind: 'if', condition, then, otherwise: this.#if() }
    if (this.#takeWord('else')) otherwise = this.#sequence()
    this.#expectWord('fi')
    return { kind: 'if', condition, then, otherwise }
  }

  #loop(): Command {
    const isUntil = this.#isWord('until')
    this.#position++
    const condition = this.#sequence()
    this.#expectWord('do')
    const body = this.#sequence()
    this.#expectWord('done')
    return { kind: 'while', condition, body, isUntil }
  }

  #for(): Command {
    const token = this.#next()
    if (token.kind !== 'word' || token.plain === undefined) throw new ScriptError('bad for loop variable')
    const words: Word[] = []
    this.#expectWord('in')
    for (let next = this.#peek(); next.kind === 'word'; next = this.#peek()) {
      words.push(next.word)
      this.#position++
    }
    while (this.#isOperator(';')) this.#position++
    this.#expectWord('do')
    const body = this.#sequence()
    this.#expectWord('done')
    return { kind: 'for', name: token.plain, words, body }
  }

  #simple(): Command {
    const assignments: { name: string; value: Word }[] = []
    const words: Word[] = []
    const redirects: Redirect[] = []
    for (;;) {
      redirects.push(...this.#redirects())
      const token = this.#peek()
      if (token.kind !== 'word') break
      const assigned = words.length === 0 ? assignmentOf(token.word) : undefined
      if (assigned !== undefined) assignments.push(assigned)
      else words.push(token.word)
      this.#position++
    }
    if (words.length + assignments.length + redirects.length === 0) throw new ScriptError('syntax error')
    return { kind: 'simple', assignments, words, redirects }
  }

  #redirects(): Redirect[] {
    const found: Redirect[] = []
    for (let token = this.#peek(); token.kind === 'operator'; token = this.#peek()) {
      const match = /^(\d?)(>>|>&|<|>)$/.exec(token.text)
      if (match === null) break
      this.#position++
      const target = this.#next()
      if (target.kind !== 'word') throw new ScriptError('syntax error: redirection without a target')
      const kind = match[2] as Redirect['kind']
      found.push({
        fd: match[1] === '' ? (kind === '<' ? 0 : 1) : Number(match[1]),
        kind,
        target: target.word,
      })
    }
    return found
  }

  #isAtClose(): boolean {
    const token = this.#peek()
    if (token.kind === 'end') return true
    if (token.kind === 'operator') return token.text === ')'
    return token.plain !== undefined && closers.has(token.plain)
  }

  #peek(): Token {
    return this.#tokens[this.#position] ?? { kind: 'end' }
  }

  #next(): Token {
    const token = this.#peek()
    this.#position++
    return token
  }

  #isOperator(text: string): boolean {
    const token = this.#peek()
    return token.kind === 'operator' && token.text === text
  }

  #isWord(text: string): boolean {
    const token = this.#peek()
    return token.kind === 'word' && token.plain === text
  }

  #takeWord(text: string): boolean {
    const isIt = this.#isWord(text)
    if (isIt) this.#position++
    return isIt
  }

  #expectWord(text: string): void {
    while (this.#isOperator(';')) this.#position++
    if (!this.#takeWord(text)) throw new ScriptError(`syntax error: expecting "${text}"`)
  }

  #expectOperator(text: string): void {
    if (!this.#isOperator(text)) throw new ScriptError(`syntax error: expecting "${text}"`)
    this.#position++
  }
}

function assignmentOf(word: Word): { name: string; value: Word } | undefined {
  const first = word[0]
  if (first?.kind !== 'text' || first.isQuoted) return undefined
  const match = /^([A-Za-z_]\w*)=([\s\S]*)$/.exec(first.text)
  if (match === null) return undefined
  const head: WordPart[] = match[2] === '' ? [] : [{ kind: 'text', text: match[2]!, isQuoted: false }]
  return { name: match[1]!, value: [...head, ...word.slice(1)] }
}
