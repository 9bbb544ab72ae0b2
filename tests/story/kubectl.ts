import { execFile } from 'node:child_process'

export interface KubectlAnswer {
  readonly stdout: string
  readonly stderr: string
  readonly code: number
}

/** The real kubectl, bound to one kubeconfig, with a discovery cache of its own. */
export class Kubectl {
  readonly #environment: NodeJS.ProcessEnv

  constructor(options: {
    readonly kubeconfig: string
    readonly cacheDirectory: string
    readonly environment: NodeJS.ProcessEnv
  }) {
    this.#environment = {
      ...options.environment,
      KUBECONFIG: options.kubeconfig,
      KUBECACHEDIR: options.cacheDirectory,
    }
  }

  /** Runs kubectl and answers with what it printed; never rejects for a refusal. */
  run(
    args: readonly string[],
    options: { readonly input?: string; readonly timeout?: number } = {},
  ): Promise<KubectlAnswer> {
    return new Promise((resolve) => {
      const child = execFile(
        'kubectl',
        [...args],
        { env: this.#environment, timeout: options.timeout ?? 60_000, maxBuffer: 16 * 1024 * 1024 },
        (error, stdout, stderr) => {
          const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 124
          resolve({ stdout, stderr, code })
        },
      )
      child.stdin?.end(options.input ?? '')
    })
  }

  /** Parses what `kubectl get ... -o json` prints. @throws when kubectl refuses. */
  async json<T>(args: readonly string[]): Promise<T> {
    const answer = await this.run([...args, '-o', 'json'])
    if (answer.code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${answer.stderr.trim()}`)
    return JSON.parse(answer.stdout) as T
  }
}
