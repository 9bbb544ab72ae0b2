import { Argument, type Command } from 'commander'
import { candidatesFor } from '../completion/candidates.ts'
import { completionScripts, howToLoad, type Shell, shells } from '../completion/scripts.ts'
import type { Environment } from '../environment.ts'

/** Adds `completion`, which prints a script for a shell, and the hidden command that such scripts ask. */
export function addCompletionCommand(program: Command, environment: Environment): void {
  program
    .command('completion')
    .description('print a script that completes commands and flags in a shell')
    .addArgument(new Argument('<shell>').choices(shells))
    .addHelpText(
      'after',
      `\nFor the present shell, or in its start-up file:\n${shells.map((shell) => `  ${howToLoad[shell]}\n`).join('')}`,
    )
    .action((shell: Shell) => environment.writeOut(completionScripts[shell]))
  program
    .command('__complete', { hidden: true })
    .argument('[word...]')
    .action((words: readonly string[]) =>
      environment.writeOut(
        candidatesFor(program, words)
          .map(({ word, description }) => `${word}\t${description}\n`)
          .join(''),
      ),
    )
}
