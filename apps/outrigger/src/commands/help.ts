import { UserError } from '@outrigger/foundation'
import type { Command } from 'commander'

/** `outrigger help rollout undo` says what `outrigger rollout undo --help` says. */
export function addHelpCommand(program: Command): void {
  program
    .command('help')
    .description('display help for command')
    .argument('[command...]')
    .action((path: readonly string[]) => findCommand(program, path).outputHelp())
}

/** @throws UserError when there is no such command. */
function findCommand(program: Command, path: readonly string[]): Command {
  let found = program
  for (const name of path) {
    const next = found.commands.find((command) => command.name() === name)
    if (next === undefined)
      throw new UserError(
        `there is no command ${path.join(' ')}`,
        `${commandLineOf(found)} --help lists those there are`,
      )
    found = next
  }
  return found
}

function commandLineOf(command: Command): string {
  return command.parent === null ? command.name() : `${commandLineOf(command.parent)} ${command.name()}`
}
