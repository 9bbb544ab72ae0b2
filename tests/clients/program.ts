import { execFile, spawnSync } from 'node:child_process'

export interface ProgramAnswer {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** Whether a program can be started here; says so when a test has to do without it. */
export function hasProgram(name: string, ...args: readonly string[]): boolean {
  const found = spawnSync(name, args, { stdio: 'ignore' }).status === 0
  if (!found) process.stderr.write(`${name} is not installed: its tests are left out\n`)
  return found
}

/** Runs a program to its end; never rejects for a refusal. */
export function runProgram(
  name: string,
  args: readonly string[],
  { environment, input = '' }: { readonly environment: NodeJS.ProcessEnv; readonly input?: string },
): Promise<ProgramAnswer> {
  return new Promise((resolve) => {
    const options = { env: environment, timeout: 30_000, maxBuffer: 16 * 1024 * 1024 }
    const child = execFile(name, [...args], options, (error, stdout, stderr) =>
      resolve({ stdout, stderr, code: error === null ? 0 : Number(error.code ?? 124) }),
    )
    child.stdin?.end(input)
  })
}
