import { FileError } from '../container-files.ts'
import { Collector } from './pipe.ts'
import type { Process } from './process.ts'

/** A program: answers with its exit code. Rejects with `Killed`, `Exit` or `BrokenPipe`. */
export type Applet = (process: Process, args: readonly string[]) => Promise<number>

/** The programs of a small busybox. */
export const applets: ReadonlyMap<string, Applet> = new Map<string, Applet>([
  ['true', async () => 0],
  [':', async () => 0],
  ['false', async () => 1],
  ['echo', echo],
  ['printf', printf],
  ['cat', cat],
  ['sleep', sleep],
  ['env', env],
  ['printenv', env],
  ['pwd', async (process) => print(process, `${process.directory}\n`)],
  ['hostname', async (process) => print(process, `${process.world.hostname}\n`)],
  ['whoami', async (process) => print(process, 'root\n')],
  ['id', async (process) => print(process, 'uid=0(root) gid=0(root)\n')],
  ['uname', async (process) => print(process, 'Linux\n')],
  ['date', date],
  ['ls', ls],
  [
    'mkdir',
    (process, args) => eachPath(process, 'mkdir', args, (path) => process.world.files.makeFolder(path)),
  ],
  ['rm', rm],
  [
    'touch',
    (process, args) =>
      eachPath(process, 'touch', args, (path) => process.world.files.write(path, Buffer.alloc(0), true)),
  ],
  ['test', async (process, args) => test(process, args)],
  ['[', async (process, args) => test(process, args.slice(0, -1))],
  ['head', head],
  ['tail', tail],
  ['wc', wc],
  ['grep', grep],
  ['sort', sort],
  ['seq', seq],
  ['yes', yes],
  ['tee', tee],
  ['httpd', httpd],
  ['wget', wget],
  ['curl', wget],
])

async function print(process: Process, text: string): Promise<number> {
  await process.print(text)
  return 0
}

async function echo(process: Process, args: readonly string[]): Promise<number> {
  let rest = args
  let isOpen = false
  let escapes = false
  while (rest[0] !== undefined && /^-[neE]+$/.test(rest[0])) {
    if (rest[0].includes('n')) isOpen = true
    if (rest[0].includes('e')) escapes = true
    rest = rest.slice(1)
  }
  const text = escapes ? unescapeText(rest.join(' ')) : rest.join(' ')
  return print(process, isOpen ? text : `${text}\n`)
}

function unescapeText(text: string): string {
  const plain: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\\': '\\', '0': '\0', a: '\x07' }
  return text.replace(/\\([ntr\\0a])/g, (_, letter: string) => plain[letter] ?? letter)
}

async function printf(process: Process, args: readonly string[]): Promise<number> {
  const [format = '', ...values] = args
  let text = ''
  let next = 0
  do {
    text += unescapeText(format).replace(/%(%|-?0?\d*[sdi])/g, (_, kind: string) => {
      if (kind === '%') return '%'
      const value = values[next++] ?? ''
      const width = Number(/\d+/.exec(kind)?.[0] ?? 0)
      const shown = kind.endsWith('s') ? value : String(Math.trunc(Number(value) || 0))
      const fill = kind.startsWith('0') ? '0' : ' '
      return kind.startsWith('-') ? shown.padEnd(width) : shown.padStart(width, fill)
    })
  } while (next > 0 && next < values.length)
  return print(process, text)
}

async function cat(process: Process, args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => arg === '-' || !arg.startsWith('-'))
  if (names.length === 0) return copyInput(process)
  let code = 0
  for (const name of names) {
    if (name === '-') await copyInput(process)
    else {
      const content = await readOrComplain(process, 'cat', name)
      if (content === undefined) code = 1
      else await process.io.stdout.write(content)
    }
  }
  return code
}

async function copyInput(process: Process): Promise<number> {
  for (let chunk = await process.io.stdin.read(process.signal); chunk !== undefined; ) {
    await process.io.stdout.write(chunk)
    chunk = await process.io.stdin.read(process.signal)
  }
  return 0
}

async function readOrComplain(process: Process, program: string, name: string): Promise<Buffer | undefined> {
  if (name === '/dev/null') return Buffer.alloc(0)
  try {
    return process.world.files.read(process.path(name))
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    const verb = error.message === 'Is a directory' ? `read error` : `can't open '${name}'`
    await process.complain(`${program}: ${verb}: ${error.message}`)
    return undefined
  }
}

/** All that comes in, or the named files. */
async function input(
  process: Process,
  program: string,
  names: readonly string[],
): Promise<Buffer | undefined> {
  const collected = new Collector()
  if (names.length === 0) {
    await copyInput(process.with({ stdout: collected }))
    return collected.bytes
  }
  for (const name of names) {
    const content = await readOrComplain(process, program, name)
    if (content === undefined) return undefined
    collected.write(content)
  }
  return collected.bytes
}

const units: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 }

async function sleep(process: Process, args: readonly string[]): Promise<number> {
  if (args[0] === 'infinity' || args[0] === 'inf') {
    for (;;) await parkDeaf(process)
  }
  let seconds = 0
  for (const arg of args) {
    const match = /^(\d*\.?\d+)([smhd]?)$/.exec(arg)
    if (match === null) {
      await process.complain(`sleep: invalid number '${arg}'`)
      return 1
    }
    seconds += Number(match[1]) * units[match[2]!]!
  }
  await process.world.clock.sleep(seconds * 1000, process.signal)
  return 0
}

/** Until killed; signals with a trap wait, as they do behind a running command. */
function parkDeaf(process: Process): Promise<never> {
  return new Promise((_, reject) => {
    if (process.signal.aborted) return reject(process.signal.reason)
    process.signal.addEventListener('abort', () => reject(process.signal.reason), { once: true })
  })
}

async function env(process: Process, args: readonly string[]): Promise<number> {
  if (args[0] !== undefined && !args[0].includes('=')) {
    const value = process.environment.get(args[0])
    return value === undefined ? 1 : print(process, `${value}\n`)
  }
  return print(process, [...process.environment].map(([name, value]) => `${name}=${value}\n`).join(''))
}

async function date(process: Process, args: readonly string[]): Promise<number> {
  const now = new Date(process.world.clock.now())
  const format = args.find((arg) => arg.startsWith('+'))?.slice(1)
  if (format === undefined) {
    const [day, ofMonth, month] = now.toUTCString().replace(',', '').split(' ')
    const time = now.toISOString().slice(11, 19)
    return print(process, `${day} ${month} ${ofMonth} ${time} UTC ${now.getUTCFullYear()}\n`)
  }
  const pad = (value: number) => String(value).padStart(2, '0')
  const fields: Record<string, string> = {
    s: String(Math.floor(now.getTime() / 1000)),
    Y: String(now.getUTCFullYear()),
    m: pad(now.getUTCMonth() + 1),
    d: pad(now.getUTCDate()),
    H: pad(now.getUTCHours()),
    M: pad(now.getUTCMinutes()),
    S: pad(now.getUTCSeconds()),
    F: now.toISOString().slice(0, 10),
    T: now.toISOString().slice(11, 19),
    N: String((now.getTime() % 1000) * 1_000_000).padStart(9, '0'),
    '%': '%',
  }
  return print(process, `${format.replace(/%([a-zA-Z%])/g, (whole, key: string) => fields[key] ?? whole)}\n`)
}

async function ls(process: Process, args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith('-'))
  const paths = names.length === 0 ? ['.'] : names
  let code = 0
  for (const name of paths) {
    try {
      const entries = process.world.files.list(process.path(name))
      if (paths.length > 1) await process.print(`${name}:\n`)
      await process.print(entries.map((entry) => `${entry}\n`).join(''))
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      await process.complain(`ls: ${name}: ${error.message}`)
      code = 1
    }
  }
  return code
}

async function rm(process: Process, args: readonly string[]): Promise<number> {
  const isForced = args.some((arg) => /^-[a-zA-Z]*f/.test(arg))
  const quiet = isForced ? process.with({ stderr: { write() {} } }) : process
  const code = await eachPath(quiet, 'rm', args, (path) => process.world.files.remove(path))
  return isForced ? 0 : code
}

async function eachPath(
  process: Process,
  program: string,
  args: readonly string[],
  act: (path: string) => void,
): Promise<number> {
  let code = 0
  for (const name of args.filter((arg) => !arg.startsWith('-'))) {
    try {
      act(process.path(name))
    } catch (error) {
      if (!(error instanceof FileError)) throw error
      await process.complain(`${program}: ${name}: ${error.message}`)
      code = 1
    }
  }
  return code
}

function test(process: Process, args: readonly string[]): number {
  if (args[0] === '!') return test(process, args.slice(1)) === 0 ? 1 : 0
  const holds = evaluateTest(process, args)
  return holds ? 0 : 1
}

function evaluateTest(process: Process, args: readonly string[]): boolean {
  if (args.length <= 1) return (args[0] ?? '') !== ''
  if (args.length === 2) {
    const [flag, value = ''] = args
    const { files } = process.world
    const kind = () => files.kind(process.path(value))
    if (flag === '-n') return value !== ''
    if (flag === '-z') return value === ''
    if (flag === '-f') return kind() === 'file'
    if (flag === '-d') return kind() === 'folder'
    if (flag === '-e' || flag === '-r' || flag === '-w' || flag === '-x') return kind() !== undefined
    if (flag === '-s') return kind() === 'file' && files.read(process.path(value)).length > 0
    return false
  }
  const [left = '', operator, right = ''] = args
  const [a, b] = [Number(left), Number(right)]
  const answers: Record<string, boolean> = {
    '=': left === right,
    '==': left === right,
    '!=': left !== right,
    '-eq': a === b,
    '-ne': a !== b,
    '-lt': a < b,
    '-le': a <= b,
    '-gt': a > b,
    '-ge': a >= b,
  }
  return answers[operator ?? ''] ?? false
}

/** `-n 5`, `-n5` and `-5`, and the names that are left. */
function countAndNames(args: readonly string[], standard: number, letter = 'n') {
  let count = standard
  const names: string[] = []
  for (let index = 0; index < args.length; index++) {
    const arg = args[index]!
    if (arg === `-${letter}`) count = Number(args[++index])
    else if (new RegExp(`^-${letter}?\\d+$`).test(arg)) count = Number(arg.replace(/^-[a-z]?/, ''))
    else if (!arg.startsWith('-')) names.push(arg)
  }
  return { count, names }
}

async function head(process: Process, args: readonly string[]): Promise<number> {
  const counted = args.some((arg) => /^-c/.test(arg))
  const { count, names } = countAndNames(args, 10, counted ? 'c' : 'n')
  if (names.length > 0) {
    for (const name of names) {
      const content = await readOrComplain(process, 'head', name)
      if (content === undefined) return 1
      if (names.length > 1) await process.print(`==> ${name} <==\n`)
      await process.io.stdout.write(counted ? content.subarray(0, count) : firstLines(content, count))
    }
    return 0
  }
  let left = count
  for (let chunk = await process.io.stdin.read(process.signal); chunk !== undefined && left > 0; ) {
    const part = counted ? chunk.subarray(0, left) : firstLines(chunk, left)
    await process.io.stdout.write(part)
    left -= counted ? part.length : part.toString('latin1').split('\n').length - 1
    if (left > 0) chunk = await process.io.stdin.read(process.signal)
  }
  return 0
}

function firstLines(content: Buffer, count: number): Buffer {
  let end = 0
  for (let left = count; left > 0; left--) {
    const next = content.indexOf(0x0a, end)
    if (next < 0) return content
    end = next + 1
  }
  return content.subarray(0, end)
}

async function tail(process: Process, args: readonly string[]): Promise<number> {
  const follows = args.some((arg) => /^-[fF]/.test(arg) || arg === '--follow')
  const { count, names } = countAndNames(args, 10)
  const name = names[0]
  if (follows && (name === undefined || name === '/dev/null')) return parkDeaf(process)
  const content = await input(process, 'tail', names.slice(0, 1))
  if (content === undefined && !follows) return 1
  const lines = (content ?? Buffer.alloc(0)).toString('utf8').split('\n')
  const isClosed = lines.at(-1) === ''
  if (isClosed) lines.pop()
  const shown = lines.slice(-count)
  if (shown.length > 0 && count > 0) await process.print(`${shown.join('\n')}${isClosed ? '\n' : ''}`)
  if (!follows || name === undefined) return 0
  return follow(process, process.path(name), content?.length ?? 0)
}

async function follow(process: Process, path: string, from: number): Promise<number> {
  let position = from
  for (;;) {
    const file = process.world.files.file(path)
    if (file !== undefined && file.size > position) {
      const fresh = Buffer.from(file.bytes.subarray(position, file.size))
      position = file.size
      await process.io.stdout.write(fresh)
      continue
    }
    if (file !== undefined && file.size < position) position = 0
    if (file === undefined) {
      await process.world.clock.sleep(1000, process.signal)
      continue
    }
    await new Promise<void>((resolve, reject) => {
      const finish = () => {
        file.listeners?.delete(finish)
        process.signal.removeEventListener('abort', onAbort)
        resolve()
      }
      const onAbort = () => {
        file.listeners?.delete(finish)
        reject(process.signal.reason)
      }
      file.listeners ??= new Set()
      file.listeners.add(finish)
      process.signal.addEventListener('abort', onAbort, { once: true })
    })
  }
}

async function wc(process: Process, args: readonly string[]): Promise<number> {
  const names = args.filter((arg) => !arg.startsWith('-'))
  const content = await input(process, 'wc', names)
  if (content === undefined) return 1
  const text = content.toString('utf8')
  const flags = args.filter((arg) => arg.startsWith('-')).join('')
  const numbers = [
    ['l', text.split('\n').length - 1],
    ['w', text.split(/\s+/).filter((word) => word !== '').length],
    ['c', content.length],
  ].filter(([letter]) => flags === '' || flags.includes(String(letter)))
  const shown = numbers.map(([, value]) => value).join(' ')
  return print(process, `${shown}${names[0] === undefined ? '' : ` ${names[0]}`}\n`)
}

async function grep(process: Process, args: readonly string[]): Promise<number> {
  const flags = args.filter((arg) => /^-[a-zA-Z]+$/.test(arg)).join('')
  const [pattern = '', ...names] = args.filter((arg) => !/^-[a-zA-Z]+$/.test(arg))
  const content = await input(process, 'grep', names)
  if (content === undefined) return 2
  const matcher = new RegExp(
    flags.includes('F') ? escapePattern(pattern) : pattern,
    flags.includes('i') ? 'i' : '',
  )
  const lines = content.toString('utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  const found = lines.filter((line) => matcher.test(line) !== flags.includes('v'))
  if (flags.includes('c')) await process.print(`${found.length}\n`)
  else if (!flags.includes('q')) await process.print(found.map((line) => `${line}\n`).join(''))
  return found.length > 0 ? 0 : 1
}

const escapePattern = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

async function sort(process: Process, args: readonly string[]): Promise<number> {
  const content = await input(
    process,
    'sort',
    args.filter((arg) => !arg.startsWith('-')),
  )
  if (content === undefined) return 1
  const lines = content.toString('utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return print(
    process,
    lines
      .sort()
      .map((line) => `${line}\n`)
      .join(''),
  )
}

async function seq(process: Process, args: readonly string[]): Promise<number> {
  const [first, last] = args.length === 1 ? [1, Number(args[0])] : [Number(args[0]), Number(args[1])]
  for (let value = first; value <= last; value++) await process.print(`${value}\n`)
  return 0
}

async function yes(process: Process, args: readonly string[]): Promise<number> {
  const line = Buffer.from(`${args.length === 0 ? 'y' : args.join(' ')}\n`.repeat(64))
  for (let turn = 0; ; turn++) {
    process.signal.throwIfAborted()
    await process.io.stdout.write(line)
    if (turn % 1000 === 999) await process.world.clock.sleep(1, process.signal)
  }
}

async function tee(process: Process, args: readonly string[]): Promise<number> {
  const path = args.find((arg) => !arg.startsWith('-'))
  if (path !== undefined) process.world.files.write(process.path(path), Buffer.alloc(0), args.includes('-a'))
  for (let chunk = await process.io.stdin.read(process.signal); chunk !== undefined; ) {
    await process.io.stdout.write(chunk)
    if (path !== undefined) process.world.files.write(process.path(path), chunk, true)
    chunk = await process.io.stdin.read(process.signal)
  }
  return 0
}

/** `httpd -f -p 8080 -h /folder`. */
async function httpd(process: Process, args: readonly string[]): Promise<number> {
  const after = (flag: string) => args[args.indexOf(flag) + 1]
  const port = args.includes('-p') ? Number(after('-p')?.split(':').at(-1)) : 80
  const folder = args.includes('-h') ? (after('-h') ?? '/') : process.directory
  const stop = process.world.serveFolder(port, process.path(folder))
  try {
    return await parkDeaf(process)
  } finally {
    stop()
  }
}

async function wget(process: Process, args: readonly string[]): Promise<number> {
  const url = args.find((arg) => !arg.startsWith('-') && /[.:/]|localhost/.test(arg))
  if (url === undefined) return 1
  try {
    const full = /^https?:/.test(url) ? url : `http://${url}`
    const answer = await process.world.fetch(full, process.signal)
    if (answer.status >= 400) {
      await process.complain(`wget: server returned error: HTTP/1.1 ${answer.status}`)
      return 1
    }
    await process.io.stdout.write(answer.body)
    return 0
  } catch (error) {
    if (process.signal.aborted) throw error
    await process.complain(`wget: ${(error as Error).message}`)
    return 1
  }
}
