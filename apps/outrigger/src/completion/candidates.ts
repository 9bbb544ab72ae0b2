import type { Command, Option } from 'commander'

/** One word that may stand where the cursor is. */
export interface Candidate {
  readonly word: string
  readonly description: string
}

/**
 * What may complete the last of `words`, which stand behind the program's name; the last one is empty where a new word begins.
 * Empty where only a file or a name of the user's own fits.
 */
export function candidatesFor(program: Command, words: readonly string[]): Candidate[] {
  const last = words.at(-1) ?? ''
  const { command, pending, isAsking } = walk(program, words.slice(0, -1))
  const found =
    pending !== undefined
      ? valuesOf(pending)
      : last.startsWith('-')
        ? optionsOf(command)
        : nextWords(command, isAsking)
  return found.filter(({ word }) => word.startsWith(last))
}

interface Position {
  readonly command: Command
  /** An option whose value comes next. */
  readonly pending: Option | undefined
  /** Whether the words are behind `help`, which takes the path of a command. */
  readonly isAsking: boolean
}

function walk(program: Command, words: readonly string[]): Position {
  let command = program
  let pending: Option | undefined
  let isAsking = false
  for (const word of words) {
    if (pending !== undefined) pending = undefined
    else if (word.startsWith('-'))
      pending = command.options.find(
        ({ long, short, required }) => required && (long === word || short === word),
      )
    else {
      const child = command.commands.find((one) => one.name() === word)
      if (child?.name() === 'help' && !isAsking) isAsking = true
      else command = child ?? command
    }
  }
  return { command, pending, isAsking }
}

/** The words that an option knows; parsers of such options list them, see `parseChoice`. */
function valuesOf({ parseArg }: Option): Candidate[] {
  const choices = parseArg !== undefined && 'choices' in parseArg ? parseArg.choices : []
  return Array.isArray(choices) ? choices.map((word) => ({ word: String(word), description: '' })) : []
}

function optionsOf(command: Command): Candidate[] {
  const help = { word: '--help', description: 'display help for command' }
  return [
    ...command.options
      .filter(({ hidden }) => !hidden)
      .map(({ long, short, description }) => ({ word: long ?? short ?? '', description })),
    help,
  ]
}

function nextWords(command: Command, isAsking: boolean): Candidate[] {
  const commands = command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => !isAsking || one.name() !== 'help')
    .map((one) => ({ word: one.name(), description: one.description() }))
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices)
  return [...commands, ...choices.map((word) => ({ word, description: '' }))]
}
