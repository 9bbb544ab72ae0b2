/** Tokens of a label selector's text, as `k8s.io/apimachinery/pkg/labels` cuts them. */
export type SelectorTokenType =
  | 'end'
  | 'identifier'
  | ')'
  | ','
  | '!'
  | '=='
  | '='
  | '>'
  | '<'
  | 'in'
  | '!='
  | 'notin'
  | '('
  | 'error'

export interface SelectorToken {
  readonly type: SelectorTokenType
  readonly text: string
}

const symbols: Readonly<Record<string, SelectorTokenType>> = {
  ')': ')',
  ',': ',',
  '!': '!',
  '==': '==',
  '=': '=',
  '>': '>',
  '<': '<',
  in: 'in',
  '!=': '!=',
  notin: 'notin',
  '(': '(',
}

const specialCharacters = '=!(),><'
const whitespace = ' \t\r\n'

/** All tokens of a text; the last one is always `end`. */
export function lexSelector(text: string): SelectorToken[] {
  const tokens: SelectorToken[] = []
  let position = 0
  while (position < text.length) {
    const letter = text[position] as string
    if (whitespace.includes(letter)) {
      position++
      continue
    }
    const start = position
    if (specialCharacters.includes(letter)) {
      const token = lexSymbol(text, start)
      tokens.push(token)
      position = start + Math.max(1, token.text.length)
      continue
    }
    while (position < text.length && !isBoundary(text[position] as string)) position++
    const word = text.slice(start, position)
    tokens.push({
      type: Object.hasOwn(symbols, word) ? (symbols[word] as SelectorTokenType) : 'identifier',
      text: word,
    })
  }
  tokens.push({ type: 'end', text: '' })
  return tokens
}

function isBoundary(letter: string): boolean {
  return whitespace.includes(letter) || specialCharacters.includes(letter)
}

/** The longest known symbol among the special characters that follow one another. */
function lexSymbol(text: string, start: number): SelectorToken {
  let longest: SelectorToken | undefined
  for (
    let end = start + 1;
    end <= text.length && specialCharacters.includes(text[end - 1] as string);
    end++
  ) {
    const candidate = text.slice(start, end)
    if (Object.hasOwn(symbols, candidate))
      longest = { type: symbols[candidate] as SelectorTokenType, text: candidate }
    else if (longest !== undefined) break
  }
  return longest ?? { type: 'error', text: text[start] as string }
}
