import type { Environment } from '../environment.ts'
import { runProgram } from '../program.ts'

/** What the program said and how it ended. */
export interface RecordedRun {
  readonly out: string
  readonly error: string
  readonly exitCode: number
}

export interface RunSurroundings {
  readonly workingDirectory: string
  readonly variables?: Readonly<Record<string, string>>
  /** What comes on standard input. Defaults to nothing. */
  readonly input?: string | Uint8Array
  /** Whether a person looks at standard output. Defaults to false. */
  readonly isTerminal?: boolean
  /** Width of that person's terminal. Defaults to unknown. */
  readonly columns?: number
}

/** Runs `outrigger ARGS` in this process, with nothing of this process's own environment. */
export async function runRecorded(
  args: readonly string[],
  { workingDirectory, variables = {}, input = '', isTerminal = false, columns }: RunSurroundings,
): Promise<RecordedRun> {
  let out = ''
  let error = ''
  let exitCode = 0
  const environment: Environment = {
    arguments: args,
    variables,
    homeDirectory: workingDirectory,
    workingDirectory,
    hostName: 'test',
    platform: 'linux',
    isRoot: false,
    processId: 1,
    isTerminal,
    columns,
    readInput: async () => Buffer.from(input),
    writeOut: (text) => {
      out += text
    },
    writeError: (text) => {
      error += text
    },
    setExitCode: (code) => {
      exitCode = code
    },
  }
  await runProgram(environment)
  return { out, error, exitCode }
}
