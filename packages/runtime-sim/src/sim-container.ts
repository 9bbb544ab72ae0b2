import type { Clock } from '@outrigger/foundation'
import {
  type ContainerSpec,
  type ContainerState,
  RuntimeError,
  type SandboxSpec,
} from '@outrigger/kubelet/runtime'
import type { ContainerBehavior } from './behavior.ts'
import { type ContainerFiles, normalize } from './container-files.ts'
import type { LogWriter } from './log-writer.ts'
import type { PodNetwork } from './pod-network.ts'
import { emptySource, type Pipe, type Sink, type Source } from './shell/pipe.ts'
import { Exit, Killed, Process, type ProcessWorld } from './shell/process.ts'
import { hasProgram, runProgram } from './shell/run-script.ts'

export interface SimContainerOptions {
  readonly id: string
  readonly spec: ContainerSpec
  readonly sandbox: SandboxSpec
  readonly address: string
  readonly image: string
  readonly imageRef: string
  readonly behavior: ContainerBehavior | undefined
  readonly files: ContainerFiles
  readonly log: LogWriter
  readonly network: PodNetwork
  readonly clock: Clock
  readonly onChange: () => void
}

/** Images whose programs are those of our shell; in others a command that we do not know just runs. */
const shellImage = /(^|\/)(busybox|alpine|bash|debian|ubuntu)(:|@|$)/
const echoImage = /(^|\/)http-echo(:|@|$)/

/** One run of a container. */
export class SimContainer {
  readonly id: string
  readonly spec: ContainerSpec
  readonly log: LogWriter
  readonly #options: SimContainerOptions
  readonly #createdAt: number
  readonly #followers = new Set<(stream: 'stdout' | 'stderr', data: Buffer) => void>()
  #state: ContainerState['state'] = 'created'
  #startedAt = 0
  #finishedAt = 0
  #exitCode = 0
  #reason = ''
  #message = ''
  #kill: AbortController | undefined
  #process: Process | undefined
  #onTerm: (() => void) | undefined
  #ended: Promise<void> = Promise.resolve()
  stdin: Pipe | undefined

  constructor(options: SimContainerOptions) {
    this.#options = options
    this.id = options.id
    this.spec = options.spec
    this.log = options.log
    this.#createdAt = options.clock.now()
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /** Resolves when the run is over. */
  get ended(): Promise<void> {
    return this.#ended
  }

  get state(): ContainerState {
    const { image, imageRef, spec } = this.#options
    return {
      id: this.id,
      name: spec.name,
      attempt: spec.attempt,
      state: this.#state,
      image,
      imageRef,
      createdAt: this.#createdAt,
      startedAt: this.#startedAt,
      finishedAt: this.#finishedAt,
      exitCode: this.#exitCode,
      reason: this.#reason,
      message: this.#message,
      annotations: spec.annotations,
    }
  }

  /** Begins the run. @throws RuntimeError when there is no such program */
  start(): void {
    if (this.#state !== 'created')
      throw new RuntimeError('start-failed', `container ${this.id} was started before`)
    const { behavior, clock } = this.#options
    const argv = this.#argv()
    const failure = behavior?.startError ?? this.#missingProgram(argv)
    if (failure !== undefined) {
      this.#startedAt = 0
      this.#finish(128, 'StartError', failure)
      throw new RuntimeError('start-failed', failure)
    }
    this.#state = 'running'
    this.#startedAt = clock.now()
    this.log.touch()
    this.#kill = new AbortController()
    const { signal } = this.#kill
    this.#ended = this.#run(argv, signal).then(
      (code) => this.#finish(code, behavior?.reason ?? '', ''),
      (error: unknown) => {
        if (error instanceof Killed) this.#finish(error.exitCode, '', '')
        else this.#finish(1, 'Error', error instanceof Error ? error.message : String(error))
      },
    )
    this.#options.onChange()
  }

  /** Asks with SIGTERM and kills when the grace is over. Resolves when the run has ended. */
  async stop(graceSeconds: number): Promise<void> {
    if (!this.isRunning) return
    this.sendSignal('TERM')
    const cancel = this.#options.clock.after(graceSeconds * 1000, () => this.kill(137))
    await this.#ended
    cancel()
  }

  kill(exitCode: number): void {
    this.#kill?.abort(new Killed(exitCode))
  }

  /** The first process ignores signals it has not asked for, as the kernel has it. */
  sendSignal(name: string): void {
    if (name === 'KILL') this.kill(137)
    else if (this.#onTerm !== undefined) {
      if (name === 'TERM' || name === 'INT') this.#onTerm()
    } else if (this.#process?.traps.has(name)) this.#process.deliver(name)
  }

  /** Runs another program inside. Answers with its exit code. @throws RuntimeError */
  async exec(
    argv: readonly string[],
    io: { readonly stdin: Source; readonly stdout: Sink; readonly stderr: Sink },
    signal: AbortSignal,
  ): Promise<number> {
    if (!this.isRunning) throw new RuntimeError('not-found', `container ${this.id} is not running`)
    const dies = AbortSignal.any([signal, this.#kill?.signal ?? signal])
    const process = new Process(this.#world(), io, this.#environment(), this.#directory(), dies)
    let code: number | undefined
    try {
      code = await runProgram(process, argv)
    } catch (error) {
      if (error instanceof Killed) return error.exitCode
      if (error instanceof Exit) return error.exitCode
      throw error
    }
    if (code === undefined) {
      throw new RuntimeError(
        'start-failed',
        `failed to exec in container: failed to start exec: OCI runtime exec failed: exec failed: unable to start container process: ${missing(argv[0] ?? '')}`,
      )
    }
    return code
  }

  /** Hears what the container prints from now on. Returns a function that ends this. */
  follow(listener: (stream: 'stdout' | 'stderr', data: Buffer) => void): () => void {
    this.#followers.add(listener)
    return () => this.#followers.delete(listener)
  }

  #argv(): readonly string[] {
    return [...this.spec.command, ...this.spec.args]
  }

  #missingProgram(argv: readonly string[]): string | undefined {
    const program = this.spec.command[0]
    if (program === undefined || this.#options.behavior !== undefined) return undefined
    if (!shellImage.test(this.spec.image) || hasProgram(argv[0] ?? '')) return undefined
    return `failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ${missing(program)}`
  }

  async #run(argv: readonly string[], signal: AbortSignal): Promise<number> {
    const { behavior } = this.#options
    const stdout = this.#sink('stdout')
    const stderr = this.#sink('stderr')
    if (behavior?.output !== undefined) await stdout.write(Buffer.from(`${behavior.output}\n`))
    if (behavior !== undefined) return this.#play(behavior, signal)
    if (echoImage.test(this.spec.image) && !hasProgram(this.spec.command[0] ?? '-')) {
      return this.#httpEcho(argv, stderr, signal)
    }
    if (argv.length > 0 && hasProgram(argv[0]!)) {
      const stdin = this.stdin ?? emptySource
      const io = { stdin, stdout, stderr }
      this.#process = new Process(this.#world(), io, this.#environment(), this.#directory(), signal)
      // Leaves the start call before the first command runs, as a real process does.
      await Promise.resolve()
      return (await runProgram(this.#process, argv)) ?? 127
    }
    return this.#runUnknown(signal)
  }

  /** A program that we do not know runs until told to end and answers whoever asks, so that probes find it well. */
  async #runUnknown(signal: AbortSignal): Promise<number> {
    const { network, address } = this.#options
    const stop = network.serveAnything(address)
    try {
      return await this.#idle(signal, 0)
    } finally {
      stop()
    }
  }

  async #play(behavior: ContainerBehavior, signal: AbortSignal): Promise<number> {
    const { exitAfterSeconds, exitCode = 0, heedsTerm = true } = behavior
    if (exitAfterSeconds === undefined) return heedsTerm ? this.#idle(signal, exitCode) : idleDeaf(signal)
    const term = new AbortController()
    if (heedsTerm) this.#onTerm = () => term.abort(new Killed(143))
    await this.#options.clock.sleep(exitAfterSeconds * 1000, AbortSignal.any([signal, term.signal]))
    return exitCode
  }

  /** Runs until told to end: no timer, no work. */
  #idle(signal: AbortSignal, exitCode: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#onTerm = () => resolve(exitCode)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }

  async #httpEcho(argv: readonly string[], stderr: Sink, signal: AbortSignal): Promise<number> {
    const { clock, network, address } = this.#options
    const option = (name: string) => {
      const at = argv.findIndex((arg) => arg === `-${name}` || arg.startsWith(`-${name}=`))
      const arg = argv[at]
      return arg === undefined
        ? undefined
        : arg.includes('=')
          ? arg.slice(arg.indexOf('=') + 1)
          : argv[at + 1]
    }
    const text = option('text')
    if (text === undefined) {
      await stderr.write(Buffer.from('Missing -text option!\n'))
      return 127
    }
    const listen = option('listen') ?? ':5678'
    const stamp = () =>
      new Date(clock.now()).toISOString().slice(0, 19).replaceAll('-', '/').replace('T', ' ')
    const stop = network.serve(address, Number(listen.split(':').at(-1)), (request, answer) => {
      answer.writeHead(200, { 'content-type': 'text/plain; charset=utf-8', 'x-app-name': 'http-echo' })
      answer.end(`${text}\n`)
      void stderr.write(
        Buffer.from(
          `${stamp()} ${request.headers.host ?? ''} ${request.socket.remoteAddress ?? '127.0.0.1'} "${request.method} ${request.url} HTTP/${request.httpVersion}" 200 ${text.length + 1} "${request.headers['user-agent'] ?? ''}" 0s\n`,
        ),
      )
    })
    await stderr.write(Buffer.from(`${stamp()} Server is listening on ${listen}\n`))
    try {
      return await this.#idle(signal, 0)
    } finally {
      stop()
    }
  }

  #world(): ProcessWorld {
    const { clock, files, sandbox, network, address } = this.#options
    return {
      clock,
      files,
      hostname: sandbox.hostname,
      fetch: (url, signal) => network.fetch(url, address, signal),
      signalMain: (name) => this.sendSignal(name),
      serveFolder: (port, folder) =>
        network.serve(address, port, (request, answer) => {
          const path = normalize(decodeURIComponent((request.url ?? '/').split('?')[0]!))
          const name = path === '/' ? '/index.html' : path
          try {
            const body = files.read(`${folder}${name}`)
            answer.writeHead(200, { 'content-length': body.length })
            answer.end(body)
          } catch {
            answer.writeHead(404)
            answer.end('Not Found')
          }
        }),
    }
  }

  #environment(): Map<string, string> {
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    return new Map([
      ['PATH', path],
      ['HOSTNAME', this.#options.sandbox.hostname],
      ['HOME', '/root'],
      ...this.spec.environment.map(({ name, value }): [string, string] => [name, value]),
    ])
  }

  #directory(): string {
    return this.spec.workingDirectory ?? '/'
  }

  #sink(stream: 'stdout' | 'stderr'): Sink {
    const log = this.log.sink(stream)
    return {
      write: (data) => {
        for (const follower of this.#followers) follower(stream, data)
        return log.write(data)
      },
    }
  }

  #finish(exitCode: number, reason: string, message: string): void {
    this.log.flush()
    this.#state = 'exited'
    this.#exitCode = exitCode
    this.#finishedAt = this.#options.clock.now()
    this.#reason = reason !== '' ? reason : exitCode === 0 ? 'Completed' : 'Error'
    this.#message = message
    this.#process = undefined
    this.#onTerm = undefined
    this.#kill?.abort(new Killed(exitCode))
    this.stdin?.break()
    this.#options.onChange()
  }
}

const missing = (program: string): string =>
  program.includes('/')
    ? `exec: "${program}": stat ${program}: no such file or directory: unknown`
    : `exec: "${program}": executable file not found in $PATH: unknown`

function idleDeaf(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
}
