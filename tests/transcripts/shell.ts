import { spawn } from 'node:child_process'
import { join } from 'node:path'

export interface Surroundings {
  /** Working folder of the commands; also their home. */
  readonly folder: string
  readonly kubeconfig: string
  readonly environment: NodeJS.ProcessEnv
  /** Milliseconds a command may take. */
  readonly timeout: number
  readonly onCommand?: (command: string) => void
}

export function textLines(text: string): readonly string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

export interface Answer {
  readonly stdout: string
  readonly stderr: string
  readonly exit: number
}

/** Runs a command line in bash. Never rejects for a failing command; one that takes too long is killed (137). */
export function runShell(command: string, input: string, surroundings: Surroundings): Promise<Answer> {
  const { folder, kubeconfig, environment, timeout } = surroundings
  return new Promise((resolve, reject) => {
    const child = spawn('bash', ['-c', command], {
      cwd: folder,
      env: {
        ...environment,
        HOME: folder,
        KUBECONFIG: kubeconfig,
        KUBECACHEDIR: join(folder, '.cache'),
        LC_ALL: 'C',
        TERM: 'dumb',
      },
      timeout,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', reject)
    child.on('close', (code) => resolve({ stdout, stderr, exit: code ?? 137 }))
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}
