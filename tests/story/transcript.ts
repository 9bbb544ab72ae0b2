import type { Kubectl, KubectlAnswer } from './kubectl.ts'

/** One thing the story promises and whether it held. */
export interface Check {
  readonly promise: string
  readonly held: boolean
  /** What was seen instead; empty when it held. */
  readonly seen: string
}

/** Runs commands in front of an audience: prints each with its output and keeps the checks. */
export class Transcript {
  readonly checks: Check[] = []
  readonly #kubectl: Kubectl
  readonly #print: (line: string) => void

  constructor(options: { readonly kubectl: Kubectl; readonly print: (line: string) => void }) {
    this.#kubectl = options.kubectl
    this.#print = options.print
  }

  say(text: string): void {
    this.#print('')
    this.#print(`# ${text}`)
  }

  /** Prints a command that is not kubectl's, and its output. */
  show(command: string, output = ''): void {
    this.#print(`$ ${command}`)
    this.#printOutput(output)
  }

  async kubectl(args: readonly string[], options: { readonly input?: string } = {}): Promise<KubectlAnswer> {
    this.#print(`$ kubectl ${args.map(quoted).join(' ')}${options.input === undefined ? '' : ' <<EOF'}`)
    if (options.input !== undefined) this.#printOutput(`${options.input.trimEnd()}\nEOF\n`)
    const answer = await this.#kubectl.run(args, options)
    this.#printOutput(answer.stdout)
    this.#printOutput(answer.stderr)
    return answer
  }

  check(promise: string, held: boolean, seen = ''): void {
    this.checks.push({ promise, held, seen: held ? '' : seen })
    this.#print(`${held ? '✓' : '✗'} ${promise}${held || seen === '' ? '' : `: ${seen}`}`)
  }

  get failures(): readonly Check[] {
    return this.checks.filter((check) => !check.held)
  }

  #printOutput(output: string): void {
    for (const line of output.trimEnd().split('\n')) if (output.trim() !== '') this.#print(line)
  }
}

function quoted(argument: string): string {
  return /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", `'\\''`)}'`
}
