/** One thing a recorded session did. */
export type Step =
  /** A file appears in the working folder, or changes there. */
  | { readonly does: 'write'; readonly file: string; readonly content: string }
  /** A command is run. */
  | { readonly does: 'run'; readonly command: string; readonly input: string; readonly printed: Printed }

/** What a command left behind, line by line, without trailing newlines. */
export interface Printed {
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  readonly exit: number
}

/**
 * Reads a recorded session: Markdown in which a block after a line "File `name`:" is a file's content,
 * and a `console` block is a command (`$`), its input (`<`), its output, its errors (`!`) and its exit code.
 * Everything else is prose.
 */
export function parseTranscript(markdown: string): readonly Step[] {
  const steps: Step[] = []
  let file: string | undefined
  let block: string[] | undefined
  let language = ''
  for (const line of markdown.split('\n')) {
    if (block === undefined) {
      const named = /^File `(.+)`:$/.exec(line)
      if (named !== null) file = named[1]
      if (!line.startsWith('```')) continue
      language = line.slice(3)
      block = []
      continue
    }
    if (line !== '```') {
      block.push(line)
      continue
    }
    if (language === 'console') steps.push(commandOf(block))
    else if (file !== undefined) steps.push({ does: 'write', file, content: `${block.join('\n')}\n` })
    file = undefined
    block = undefined
  }
  return steps
}

function commandOf(block: readonly string[]): Step {
  const [first = '', ...rest] = block
  const exit = Number(/^\[exit (\d+)\]$/.exec(rest.at(-1) ?? '')?.[1])
  if (!first.startsWith('$ ') || Number.isNaN(exit)) throw new Error(`not a command block: ${first}`)
  const body = rest.slice(0, -1)
  const isInput = (line: string) => line.startsWith('< ') || line === '<'
  const isError = (line: string) => line.startsWith('! ') || line === '!'
  return {
    does: 'run',
    command: first.slice(2),
    input: body
      .filter(isInput)
      .map((line) => `${line.slice(2)}\n`)
      .join(''),
    printed: {
      stdout: body.filter((line) => !isInput(line) && !isError(line)),
      stderr: body.filter(isError).map((line) => line.slice(2)),
      exit,
    },
  }
}
