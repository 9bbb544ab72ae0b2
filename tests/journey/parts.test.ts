import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { SystemClock } from '@outrigger/foundation'
import { eventually } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Kubectl } from '../story/kubectl.ts'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'

const clock = new SystemClock()
const directory = mkdtempSync(join(tmpdir(), 'outrigger-parts-'))
const kubeconfig = join(directory, 'kubeconfig')
const kubectl = new Kubectl({
  kubeconfig,
  cacheDirectory: join(directory, 'cache'),
  environment: process.env,
})
const running: OutriggerProcess[] = []
const ephemeral = ['up', '--port', '0', '--ephemeral'] as const

afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe('every part as a process of its own', () => {
  beforeAll(async () => {
    await start(/API server is up/, [
      'apiserver',
      '--port',
      '0',
      '--data-dir',
      join(directory, 'api'),
      '--kubeconfig',
      kubeconfig,
      '--feature-gates=SidecarSetServerlessPod=true',
    ])
    await start(/scheduler run/, ['control-plane', '--kubeconfig', kubeconfig])
    await start(/manager is ready/, ['manager', '--kubeconfig', kubeconfig, '--webhook-port', '0'])
    await start(/is registered/, node('virtual-kubelet-parts', []))
    await start(/is registered/, node('regular-parts', ['--regular']))
  })

  afterAll(async () => {
    for (const part of running.reverse()) await part.stop()
  })

  test('together they inject, grant and run a pod on the virtual node', async () => {
    const applied = await kubectl.run([
      'apply',
      '-f',
      resolve(import.meta.dirname, '../../examples/filebeat-echo-server'),
    ])
    expect(applied.code, applied.stderr).toBe(0)

    const pods = await eventually(
      'a running pod with its sidecar',
      async () => {
        const { stdout } = await kubectl.run([
          'get',
          'pods',
          '-l',
          'app=echo-server',
          '-o',
          'wide',
          '--no-headers',
        ])
        return /\s2\/2\s+Running\s/.test(stdout) && stdout
      },
      { clock, timeout: 30_000, every: 100 },
    )
    expect(pods).toContain('virtual-kubelet-parts')
  })

  test('logs and commands reach a node that vouches for itself', async () => {
    const logs = await kubectl.run(['logs', 'deployment/echo-server', '-c', 'echo-server'])
    expect(logs.stdout, logs.stderr).toMatch(/Server is listening on :8080/)
    const read = await kubectl.run([
      'exec',
      'deployment/echo-server',
      '-c',
      'filebeat',
      '--',
      'cat',
      '/etc/filebeat.yml',
    ])
    expect(read.stdout, read.stderr).toMatch(/^filebeat\.inputs:/)
  })

  test('only the owner may read the kubeconfig and the keys', () => {
    expect(statSync(kubeconfig).mode & 0o777).toBe(0o600)
    expect(statSync(join(directory, 'api')).mode & 0o777).toBe(0o700)
    expect(statSync(join(directory, 'api', 'pki', 'ca.key')).mode & 0o777).toBe(0o600)
  })
})

test.each([
  ['a command that does not exist', ['upp'], /unknown command 'upp'/],
  ['a flag that does not exist', ['up', '--nope'], /unknown option '--nope'/],
  ['a value out of range', ['up', '--port', '99999'], /--port 99999 is not a number between 0 and 65535/],
  ['a runtime that does not exist', ['up', '--runtime', 'docker'], /use one of containerd, sim/],
  [
    'a kubeconfig that is not there',
    ['manager', '--kubeconfig', '/does/not/exist'],
    /no kubeconfig at \/does\/not\/exist/,
  ],
  [
    'a socket that is not there',
    ['up', '--port', '0', '--ephemeral', '--container-runtime-endpoint', 'unix:///does/not/exist.sock'],
    /exist\.sock cannot be used: there is no such file/,
  ],
  [
    'a kubeconfig that cannot be written',
    [...ephemeral, '--runtime', 'sim', '--kubeconfig', '/proc/nope/x'],
    /the kubeconfig \/proc\/nope\/x cannot be written/,
  ],
  [
    'a data directory that cannot be made',
    ['up', '--port', '0', '--runtime', 'sim', '--data-dir', '/proc/nope'],
    /data directory \/proc\/nope cannot be used/,
  ],
  [
    'a data directory that is a file',
    ['up', '--port', '0', '--runtime', 'sim', '--data-dir', import.meta.filename],
    /parts\.test\.ts cannot be used/,
  ],
  [
    'an address that is not of this machine',
    [...ephemeral, '--runtime', 'sim', '--bind-address', '192.0.2.1'],
    /cannot listen on port 0 of 192\.0\.2\.1/,
  ],
  [
    'a kubeconfig that is none',
    ['manager', '--kubeconfig', import.meta.filename],
    /parts\.test\.ts is not YAML/,
  ],
])('answers %s with one line that names it, and exit code 1', async (_what, args, line) => {
  const part = startOutrigger(args, process.env)
  await part.saw(line)

  expect(await part.ended).toBe(1)
  expect(part.output()).not.toMatch(/^\s+at /m)
})

describe('a runtime that is not what it seems', () => {
  const socket = join(directory, 'runtime.sock')

  test('a socket whose listener was killed is answered with a line', async () => {
    const listener = await listenIn(socket)
    listener.kill('SIGKILL')
    await once(listener, 'exit')

    await refuses([...ephemeral, '--container-runtime-endpoint', `unix://${socket}`], /nobody listens at it/)
  })

  test('a listener that never answers is answered with a line, in seconds', async () => {
    const listener = await listenIn(socket)
    const begin = clock.monotonic()
    await refuses(
      [...ephemeral, '--container-runtime-endpoint', socket],
      /listens there, but does not answer/,
    )

    expect(clock.monotonic() - begin).toBeLessThan(10_000)
    listener.kill('SIGKILL')
  })
})

describe('a data directory that holds a cluster', () => {
  const data = join(directory, 'kept')

  test('is not removed by an ephemeral one, and says which of its files is broken', async () => {
    const up = ['up', '--port', '0', '--runtime', 'sim', '--data-dir', data]
    const first = startOutrigger(up, process.env)
    await first.saw(/Outrigger is up/)
    expect(await first.stop()).toBe(0)

    await refuses([...up, '--ephemeral'], /holds a cluster that is kept/)
    expect(statSync(join(data, 'pki', 'ca.key')).isFile()).toBe(true)
    writeFileSync(join(data, 'pki', 'ca.crt'), 'garbage\n')
    await refuses(up, /ca\.crt holds no PEM certificate; remove/)
  })
})

test.runIf(process.platform === 'linux' && process.getuid?.() === 0)(
  'Ctrl-C while it starts leaves no containerd behind',
  async () => {
    for (const delay of [350, 450, 600]) {
      const data = join(directory, `stopped-${delay}`)
      const part = startOutrigger(['up', '--port', '0', '--ephemeral', '--data-dir', data], process.env)
      await clock.sleep(delay)
      part.child.kill('SIGINT')
      await part.ended

      const left = readdirSync('/proc').filter(
        (name) => /^\d+$/.test(name) && commandLine(name).includes(`${data}/`),
      )
      expect(left.map(commandLine)).toEqual([])
    }
  },
)

function commandLine(processId: string): string {
  try {
    return readFileSync(`/proc/${processId}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** Ends by itself, with one line, and without a stack. */
async function refuses(args: readonly string[], line: RegExp): Promise<void> {
  const part = startOutrigger(args, process.env)
  await part.saw(line, 20_000)
  expect(await part.ended).toBe(1)
  expect(part.output().trimEnd().split('\n')).toHaveLength(1)
}

/** A process that accepts and never says anything. */
async function listenIn(path: string): Promise<ChildProcess> {
  rmSync(path, { force: true })
  const program = `require('node:net').createServer(() => {}).listen(process.argv[1], () => console.log('listening'))`
  const child = spawn(process.execPath, ['-e', program, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.stdout !== null) await once(child.stdout, 'data')
  return child
}

async function start(ready: RegExp, args: readonly string[]): Promise<void> {
  const part = startOutrigger(args, process.env)
  running.push(part)
  await part.saw(ready)
}

function node(name: string, more: readonly string[]): readonly string[] {
  return [
    'node',
    '--kubeconfig',
    kubeconfig,
    '--runtime',
    'sim',
    '--port',
    '0',
    '--data-dir',
    join(directory, name),
    '--name',
    name,
    '--address',
    '127.0.0.1',
    ...more,
  ]
}
