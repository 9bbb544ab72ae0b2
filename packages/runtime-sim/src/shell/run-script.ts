import { FileError } from '../container-files.ts'
import { applets } from './applets.ts'
import { evaluateArithmetic } from './arithmetic.ts'
import { type Command, parseScript, type Redirect, ScriptError, type Word } from './parse-script.ts'
import { BrokenPipe, Collector, emptySource, Pipe, type Sink, type Source } from './pipe.ts'
import { Exit, type Process } from './process.ts'

const signalNumbers: Readonly<Record<string, number>> = {
  HUP: 1,
  INT: 2,
  QUIT: 3,
  KILL: 9,
  USR1: 10,
  USR2: 12,
  TERM: 15,
}
/** Turns of a loop in one instant after which time is made to pass. */
const busyTurns = 1_000

/** Runs `sh -c text`. Answers with the exit code; rejects with `Killed` only. */
export async function runShell(process: Process, text: string): Promise<number> {
  let script: Command
  try {
    script = parseScript(text)
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error
    await process.complain(`sh: ${error.message}`)
    return 2
  }
  return new Shell(process).main(script)
}

/** Runs a program given by its arguments. Undefined: there is no such program. */
export async function runProgram(process: Process, argv: readonly string[]): Promise<number | undefined> {
  const name = programName(argv[0] ?? '')
  if (name === 'sh' || name === 'ash' || name === 'bash') return runShellProgram(process, argv.slice(1))
  const applet = applets.get(name)
  if (applet === undefined || !isUsualPlace(argv[0] ?? '')) return undefined
  try {
    return await applet(process, argv.slice(1))
  } catch (error) {
    if (error instanceof Exit) return error.exitCode
    if (error instanceof BrokenPipe) return 141
    throw error
  }
}

/** Whether a program of this name is there at all. */
export function hasProgram(name: string): boolean {
  const plain = programName(name)
  return isUsualPlace(name) && (applets.has(plain) || ['sh', 'ash', 'bash'].includes(plain))
}

const programName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)
const isUsualPlace = (path: string): boolean =>
  !path.includes('/') || /^\/(usr\/)?(local\/)?s?bin\/[^/]+$/.test(path)

async function runShellProgram(process: Process, args: readonly string[]): Promise<number> {
  const flag = args.findIndex((arg) => /^-[a-z]*c[a-z]*$/.test(arg))
  if (flag >= 0) return runShell(process, args[flag + 1] ?? '')
  const file = args.find((arg) => !arg.startsWith('-'))
  try {
    if (file !== undefined)
      return await runShell(process, process.world.files.read(process.path(file)).toString('utf8'))
  } catch (error) {
    await process.complain(`sh: can't open '${file}': ${(error as Error).message}`)
    return 127
  }
  // Without a script commands are read line by line, as a person types them.
  let rest = ''
  let code = 0
  const shell = new Shell(process)
  for (;;) {
    const chunk = await process.io.stdin.read(process.signal)
    rest += chunk?.toString('utf8') ?? ''
    const end = chunk === undefined ? rest.length : rest.lastIndexOf('\n') + 1
    const script = rest.slice(0, end)
    rest = rest.slice(end)
    if (script.trim() !== '') {
      try {
        code = await shell.run(parseScript(script))
      } catch (error) {
        if (error instanceof Exit) return error.exitCode
        if (!(error instanceof ScriptError)) throw error
        await process.complain(`sh: ${error.message}`)
        code = 2
      }
    }
    if (chunk === undefined) return code
  }
}

class LoopControl extends Error {
  override readonly name = 'LoopControl'
  readonly isBreak: boolean

  constructor(isBreak: boolean) {
    super(isBreak ? 'break' : 'continue')
    this.isBreak = isBreak
  }
}

class Shell {
  readonly #process: Process
  readonly #jobs: Set<Promise<unknown>>
  #status = 0
  #stopsOnError = false

  constructor(process: Process, jobs: Set<Promise<unknown>> = new Set()) {
    this.#process = process
    this.#jobs = jobs
  }

  async main(script: Command): Promise<number> {
    let code: number
    try {
      code = await this.run(script)
    } catch (error) {
      if (error instanceof Exit) code = error.exitCode
      else if (error instanceof BrokenPipe) return 141
      else throw error
    }
    const onExit = this.#process.traps.get('EXIT')
    if (onExit !== undefined) {
      this.#process.traps.delete('EXIT')
      await new Shell(this.#process).main(parseScript(onExit))
    }
    return code
  }

  async run(command: Command): Promise<number> {
    await this.#runTraps()
    this.#process.signal.throwIfAborted()
    this.#status = await this.#execute(command)
    await this.#runTraps()
    return this.#status
  }

  async #runTraps(): Promise<void> {
    for (let name = this.#process.pending.shift(); name !== undefined; name = this.#process.pending.shift()) {
      const action = this.#process.traps.get(name)
      if (action === undefined) throw new Exit(128 + (signalNumbers[name] ?? 15))
      if (action !== '') await this.#execute(parseScript(action))
    }
  }

  async #execute(command: Command): Promise<number> {
    switch (command.kind) {
      case 'sequence': {
        let code = 0
        for (const each of command.commands) {
          code = await this.run(each)
          if (code !== 0 && this.#stopsOnError && each.kind === 'simple') throw new Exit(code)
        }
        return code
      }
      case 'and': {
        const code = await this.run(command.left)
        return code === 0 ? this.run(command.right) : code
      }
      case 'or': {
        const code = await this.run(command.left)
        return code === 0 ? 0 : this.run(command.right)
      }
      case 'not':
        return (await this.run(command.command)) === 0 ? 1 : 0
      case 'pipe':
        return this.#pipe(command.commands)
      case 'background':
        return this.#background(command.command)
      case 'group':
        return this.#redirected(command.redirects, (inner) => new Shell(inner, this.#jobs).run(command.body))
      case 'subshell':
        return this.#redirected(command.redirects, (inner) =>
          new Shell(inner.with({}, true), this.#jobs).main(command.body),
        )
      case 'if':
        if ((await this.run(command.condition)) === 0) return this.run(command.then)
        return command.otherwise === undefined ? 0 : this.run(command.otherwise)
      case 'while':
        return this.#loop(command)
      case 'for':
        return this.#for(command)
      case 'simple':
        return this.#simple(command)
    }
  }

  async #pipe(commands: readonly Command[]): Promise<number> {
    let stdin: Source = this.#process.io.stdin
    const running: Promise<number>[] = []
    commands.forEach((command, index) => {
      const isLast = index === commands.length - 1
      const from = stdin
      const pipe = new Pipe()
      const stdout: Sink = isLast ? this.#process.io.stdout : pipe
      const shell = new Shell(this.#process.with({ stdin: from, stdout }, true), this.#jobs)
      running.push(
        shell.main(command).finally(() => {
          if (!isLast) pipe.end()
          if (from instanceof Pipe && index > 0) from.break()
        }),
      )
      stdin = pipe
    })
    const codes = await Promise.all(running)
    return codes.at(-1) ?? 0
  }

  async #background(command: Command): Promise<number> {
    const shell = new Shell(this.#process.with({ stdin: emptySource }, true), new Set())
    const job = shell.main(command).catch(() => {})
    this.#jobs.add(job)
    void job.finally(() => this.#jobs.delete(job))
    return 0
  }

  async #loop(command: Extract<Command, { kind: 'while' }>): Promise<number> {
    const { clock } = this.#process.world
    let code = 0
    let turns = 0
    let instant = clock.monotonic()
    while (isIdleLoop(command)) {
      // A loop that only sleeps does nothing that anybody can see: no timer is spent on it.
      await this.#process.park()
      await this.#runTraps()
    }
    for (;;) {
      if (((await this.run(command.condition)) === 0) === command.isUntil) return code
      try {
        code = await this.run(command.body)
      } catch (error) {
        if (!(error instanceof LoopControl)) throw error
        if (error.isBreak) return 0
      }
      if (clock.monotonic() !== instant) {
        instant = clock.monotonic()
        turns = 0
      } else if (++turns >= busyTurns) {
        await clock.sleep(10, this.#process.signal)
      }
    }
  }

  async #for(command: Extract<Command, { kind: 'for' }>): Promise<number> {
    let code = 0
    for (const word of command.words) {
      for (const value of await this.#expand(word)) {
        this.#process.environment.set(command.name, value)
        try {
          code = await this.run(command.body)
        } catch (error) {
          if (!(error instanceof LoopControl)) throw error
          if (error.isBreak) return 0
        }
      }
    }
    return code
  }

  async #simple(command: Extract<Command, { kind: 'simple' }>): Promise<number> {
    const argv: string[] = []
    for (const word of command.words) argv.push(...(await this.#expand(word)))
    const assigned: [string, string][] = []
    for (const { name, value } of command.assignments) assigned.push([name, await this.#expandWhole(value)])
    if (argv.length === 0) {
      for (const [name, value] of assigned) this.#process.environment.set(name, value)
      return command.redirects.length === 0 ? 0 : await this.#redirected(command.redirects, async () => 0)
    }
    return this.#redirected(command.redirects, async (process) => {
      for (const [name, value] of assigned) process.environment.set(name, value)
      return this.#call(process, argv)
    })
  }

  async #redirected(
    redirects: readonly Redirect[],
    run: (process: Process) => Promise<number>,
  ): Promise<number> {
    let { stdin, stdout, stderr } = this.#process.io
    for (const redirect of redirects) {
      const target = await this.#expandWhole(redirect.target)
      if (redirect.kind === '<') {
        try {
          stdin = onceSource(this.#process.world.files.read(this.#process.path(target)))
        } catch (error) {
          await this.#process.complain(`sh: can't open ${target}: ${(error as Error).message.toLowerCase()}`)
          return 1
        }
      } else if (redirect.kind === '>&') {
        if (target === '1') stderr = redirect.fd === 2 ? stdout : stderr
        else if (target === '2' && redirect.fd === 1) stdout = stderr
      } else {
        let sink: Sink
        try {
          sink = this.#openSink(target, redirect.kind === '>>')
        } catch (error) {
          if (!(error instanceof FileError)) throw error
          await this.#process.complain(`sh: can't create ${target}: ${error.message}`)
          return 1
        }
        if (redirect.fd === 2) stderr = sink
        else stdout = sink
      }
    }
    return run(this.#process.with({ stdin, stdout, stderr }))
  }

  #openSink(target: string, appends: boolean): Sink {
    const { files } = this.#process.world
    if (target === '/dev/null') return { write() {} }
    if (target === '/dev/stdout' || target === '/proc/1/fd/1') return this.#process.io.stdout
    if (target === '/dev/stderr' || target === '/proc/1/fd/2') return this.#process.io.stderr
    const path = this.#process.path(target)
    files.write(path, Buffer.alloc(0), appends)
    return { write: (data) => files.write(path, data, true) }
  }

  async #call(process: Process, argv: readonly string[]): Promise<number> {
    const [name = '', ...args] = argv
    const builtin = this.#builtin(process, name, args)
    if (builtin !== undefined) return builtin
    const code = await runProgram(process, argv)
    if (code !== undefined) return code
    await process.complain(`sh: ${name}: not found`)
    return 127
  }

  #builtin(process: Process, name: string, args: readonly string[]): Promise<number> | number | undefined {
    switch (name) {
      case 'exit':
        throw new Exit(args[0] === undefined ? this.#status : Number(args[0]) & 0xff)
      case 'break':
      case 'continue':
        throw new LoopControl(name === 'break')
      case 'set':
        if (args.some((arg) => /^-[a-z]*e/.test(arg))) this.#stopsOnError = true
        return 0
      case 'cd':
        this.#process.directory = process.path(args[0] ?? '/root')
        return 0
      case 'export':
        for (const arg of args) {
          const [key, value] = split(arg)
          if (value !== undefined) this.#process.environment.set(key, value)
        }
        return 0
      case 'unset':
        for (const arg of args) this.#process.environment.delete(arg)
        return 0
      case 'trap':
        this.#trap(args)
        return 0
      case 'wait':
        return this.#wait()
      case 'exec':
        return this.#call(process, args).then((code) => {
          throw new Exit(code)
        })
      case 'kill':
        return this.#kill(args)
      default:
        return undefined
    }
  }

  #trap(args: readonly string[]): void {
    const [action = '', ...names] = args
    for (const raw of names) {
      const name = signalName(raw)
      if (action === '-') this.#process.traps.delete(name)
      else this.#process.traps.set(name, action)
    }
  }

  /** Until all jobs have ended, or a signal with a trap comes. */
  async #wait(): Promise<number> {
    if (this.#jobs.size === 0) return 0
    await Promise.race([Promise.all(this.#jobs), this.#process.park()])
    return 0
  }

  #kill(args: readonly string[]): number {
    const flag = args.find((arg) => arg.startsWith('-'))
    const name = flag === undefined ? 'TERM' : signalName(flag.slice(1))
    const target = args.find((arg) => !arg.startsWith('-'))
    if (target === '1') {
      this.#process.world.signalMain(name)
      return 0
    }
    if (target === '$$' || target === selfPid) throw new Exit(128 + (signalNumbers[name] ?? 15))
    return 1
  }

  // -- words

  async #expandWhole(word: Word): Promise<string> {
    const texts = await Promise.all(word.map((part) => this.#value(part)))
    return texts.join('')
  }

  /** One word may become several, or none: unquoted values are split at blanks. */
  async #expand(word: Word): Promise<string[]> {
    const fields: string[] = []
    let current: string | undefined
    for (const part of word) {
      const value = await this.#value(part)
      if (part.isQuoted || part.kind === 'text') {
        current = (current ?? '') + value
        continue
      }
      const pieces = value.split(/\s+/)
      pieces.forEach((piece, index) => {
        if (index > 0 && current !== undefined) {
          fields.push(current)
          current = undefined
        }
        if (piece !== '') current = (current ?? '') + piece
      })
    }
    if (current !== undefined) fields.push(current)
    return fields
  }

  async #value(part: Word[number]): Promise<string> {
    switch (part.kind) {
      case 'text':
        return part.text
      case 'arithmetic':
        return String(evaluateArithmetic(part.text, (name) => this.#process.environment.get(name)))
      case 'command': {
        const output = new Collector()
        await new Shell(this.#process.with({ stdout: output }, true)).main(part.script)
        return output.text.replace(/\n+$/, '')
      }
      case 'variable': {
        const value = this.#variable(part.name)
        if ((value === undefined || value === '') && part.fallback !== undefined)
          return this.#expandWhole(part.fallback)
        return value ?? ''
      }
    }
  }

  #variable(name: string): string | undefined {
    if (name === '?') return String(this.#status)
    if (name === '$') return selfPid
    if (name === '#') return '0'
    if (name === '0') return 'sh'
    return this.#process.environment.get(name)
  }
}

/** Every script believes to be process 7: only `kill $$` asks. */
const selfPid = '7'

const idlePrograms = new Set(['sleep', 'true', ':'])

function isIdleLoop(command: Extract<Command, { kind: 'while' }>): boolean {
  return !command.isUntil && isIdle(command.condition) && isIdle(command.body) && sleeps(command.body)
}

function isIdle(command: Command): boolean {
  if (command.kind === 'sequence') return command.commands.every(isIdle)
  if (command.kind !== 'simple' || command.redirects.length > 0 || command.assignments.length > 0)
    return false
  const first = command.words[0]?.[0]
  return (
    command.words.every((word) => word.every((part) => part.kind === 'text')) &&
    first?.kind === 'text' &&
    idlePrograms.has(first.text)
  )
}

function sleeps(command: Command): boolean {
  if (command.kind === 'sequence') return command.commands.some(sleeps)
  const first = command.kind === 'simple' ? command.words[0]?.[0] : undefined
  return first?.kind === 'text' && first.text === 'sleep'
}

function onceSource(content: Buffer): Source {
  let left: Buffer | undefined = content
  return {
    read: async () => {
      const now = left
      left = undefined
      return now === undefined || now.length === 0 ? undefined : now
    },
  }
}

/** `15`, `TERM` and `SIGTERM` are one. */
export function signalName(text: string): string {
  const plain = text.toUpperCase().replace(/^SIG/, '')
  if (plain === '0') return 'EXIT'
  return Object.entries(signalNumbers).find(([, number]) => String(number) === plain)?.[0] ?? plain
}

function split(assignment: string): [string, string | undefined] {
  const equals = assignment.indexOf('=')
  return equals < 0 ? [assignment, undefined] : [assignment.slice(0, equals), assignment.slice(equals + 1)]
}
