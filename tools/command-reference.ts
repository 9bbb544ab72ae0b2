import type { Environment } from '../apps/outrigger/src/environment.ts'
import { runProgram } from '../apps/outrigger/src/program.ts'

const head = `# Commands

Made by \`npx tsx tools/generate-command-reference.ts\` from the program's own help. Do not edit.
`

/** The page `docs/reference/commands.md`: what `outrigger help` says of every command and sub-command. */
export async function commandReference(): Promise<string> {
  const sections = [head]
  const visit = async (path: readonly string[]): Promise<void> => {
    const text = await helpOf(path)
    const level = path.length < 2 ? '##' : '###'
    sections.push(`${level} ${['outrigger', ...path].join(' ')}\n\n\`\`\`text\n${text.trim()}\n\`\`\`\n`)
    for (const name of commandsIn(text)) await visit([...path, name])
  }
  await visit([])
  return sections.join('\n')
}

/** Names listed under `Commands:`, without `help` itself. */
function commandsIn(help: string): string[] {
  const [, list = ''] = help.split('\nCommands:\n')
  return [...list.matchAll(/^ {2}(\S+)/gm)].flatMap(([, name = '']) => (name === 'help' ? [] : name))
}

/** What `outrigger PATH --help` prints into a pipe. */
async function helpOf(path: readonly string[]): Promise<string> {
  let text = ''
  const environment: Environment = {
    arguments: [...path, '--help'],
    variables: {},
    homeDirectory: '/home/user',
    workingDirectory: '/home/user',
    hostName: 'HOSTNAME',
    platform: 'linux',
    isRoot: false,
    processId: 1,
    isTerminal: false,
    columns: undefined,
    readInput: async () => new Uint8Array(),
    writeOut: (more) => {
      text += more
    },
    writeError: (more) => {
      text += more
    },
    setExitCode: () => {},
  }
  await runProgram(environment)
  return text
}
