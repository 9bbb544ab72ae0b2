import { UserError } from '@outrigger/foundation'
import { Command, CommanderError, type Option } from 'commander'
import { inUserWords } from './cluster/cluster-session.ts'
import { addApiServerCommand } from './commands/apiserver.ts'
import { addCompletionCommand } from './commands/completion.ts'
import { addConformanceCommand } from './commands/conformance.ts'
import { addControlPlaneCommand } from './commands/control-plane.ts'
import { addDownCommand } from './commands/down.ts'
import { addExplainCommand } from './commands/explain.ts'
import { addHelpCommand } from './commands/help.ts'
import { addInjectCommand } from './commands/inject.ts'
import { addInstallCommand } from './commands/install.ts'
import { addLintCommand } from './commands/lint.ts'
import { addManagerCommand } from './commands/manager.ts'
import { addNodeCommand } from './commands/node.ts'
import { addPlanCommand } from './commands/plan.ts'
import { addRolloutCommand } from './commands/rollout.ts'
import { addUpCommand } from './commands/up.ts'
import type { Environment } from './environment.ts'

/**
 * Parses the arguments and runs one command. A failure that the user can mend is one line on standard
 * error and exit code 1; a defect shows its stack.
 */
export async function runProgram(environment: Environment): Promise<void> {
  const program = new Command('outrigger')
    .description('Keeps the right sidecars in every pod of a Kubernetes cluster.')
    .version('0.1.0', '-V, --version')
    .showSuggestionAfterError()
    .configureHelp({ optionDescription: describeOption, minWidthToWrap: 20 })
    .exitOverride()
    .configureOutput({
      writeOut: environment.writeOut,
      writeErr: environment.writeError,
      outputError: (text, write) => write(inOneLine(text)),
    })
    .helpCommand(false)
  for (const add of commands) add(program, environment)
  for (const command of program.commands) command.copyInheritedSettings(program)
  addHelpRemedies(program, program.name())
  try {
    await program.parseAsync([...environment.arguments], { from: 'user' })
  } catch (error) {
    report(error, environment)
  }
}

/** Begins one line with what is wrong. Commander puts what might be meant on a line of its own, and the remedy in another text. */
function inOneLine(text: string): string {
  const [line = '', suggestion] = text
    .replace(/^error: /, '')
    .trimEnd()
    .split('\n')
  const meant = /^\(Did you mean (.*)\?\)$/.exec(suggestion ?? '')?.[1]
  return `outrigger: ${line.replace(/\.$/, '')}${meant === undefined ? '' : `; did you mean ${meant}?`}`
}

/** Ends that line for every command, so that each mistake leads to the page that helps. */
function addHelpRemedies(command: Command, path: string): void {
  command.showHelpAfterError(`; see ${path} --help`)
  for (const child of command.commands) addHelpRemedies(child, `${path} ${child.name()}`)
}

/** All sub-commands, in the order `--help` lists them. */
const commands = [
  addUpCommand,
  addDownCommand,
  addManagerCommand,
  addNodeCommand,
  addApiServerCommand,
  addControlPlaneCommand,
  addInstallCommand,
  addInjectCommand,
  addExplainCommand,
  addPlanCommand,
  addRolloutCommand,
  addLintCommand,
  addConformanceCommand,
  addCompletionCommand,
  addHelpCommand,
]

/** What an option is for, and its default unless that is off, nothing, or told in the text already. */
function describeOption({ description, defaultValue }: Option): string {
  const shown =
    typeof defaultValue === 'object' && defaultValue !== null
      ? Object.entries(defaultValue).map(([name, value]) => `${name}=${value}`)
      : [defaultValue ?? false].filter((value) => value !== false)
  return shown.length === 0 || description.includes('(default:')
    ? description
    : `${description} (default: ${shown.join(',')})`
}

function report(error: unknown, environment: Environment): void {
  if (error instanceof CommanderError) {
    environment.setExitCode(error.exitCode)
    return
  }
  environment.setExitCode(1)
  const told = inUserWords(error)
  if (told instanceof UserError) environment.writeError(`outrigger: ${told.message}\n`)
  else environment.writeError(`outrigger: ${told instanceof Error ? told.stack : String(told)}\n`)
}
