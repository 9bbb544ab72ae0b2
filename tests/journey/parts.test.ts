import { mkdtempSync, rmSync, statSync } from 'node:fs'
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
    rmSync(directory, { recursive: true, force: true })
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
    /exist\.sock cannot be used/,
  ],
])('answers %s with one line that names it, and exit code 1', async (_what, args, line) => {
  const part = startOutrigger(args, process.env)
  await part.saw(line)

  expect(await part.ended).toBe(1)
  expect(part.output()).not.toMatch(/^\s+at /m)
})

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
