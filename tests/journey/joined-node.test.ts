import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SystemClock } from '@outrigger/foundation'
import { eventually } from '@outrigger/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Kubectl } from '../story/kubectl.ts'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'

const clock = new SystemClock()
const directory = mkdtempSync(join(tmpdir(), 'outrigger-joined-'))
const kubeconfig = join(directory, 'kubeconfig')
const kubectl = new Kubectl({
  kubeconfig,
  cacheDirectory: join(directory, 'cache'),
  environment: process.env,
})
const running: OutriggerProcess[] = []

async function start(line: RegExp, args: string): Promise<void> {
  const process_ = startOutrigger(args.split(' '), { PATH: process.env['PATH'], HOME: directory })
  running.push(process_)
  await process_.saw(line)
}

beforeAll(async () => {
  await start(
    /is up/,
    `up --runtime sim --port 0 --data-dir ${join(directory, 'up')} --kubeconfig ${kubeconfig}`,
  )
  await start(
    /is registered/,
    `node --name vk9 --runtime sim --port 0 --data-dir ${join(directory, 'node')} --kubeconfig ${kubeconfig}`,
  )
})

afterAll(async () => {
  for (const part of running.reverse()) await part.stop()
  rmSync(directory, { recursive: true, force: true })
})

test('a node that joins a cluster gets a serving certificate, and with it logs and exec work', async () => {
  await eventually(
    'the signed request',
    async () => {
      const { stdout } = await kubectl.run(['get', 'csr', '--no-headers'])
      expect(stdout).toMatch(/kubernetes.io\/kubelet-serving .* Approved,Issued/)
      return true
    },
    { clock, timeout: 30_000, every: 250 },
  )
  const overrides = JSON.stringify({ spec: { nodeName: 'vk9', tolerations: [{ operator: 'Exists' }] } })
  await kubectl.run([
    ...['run', 'p', '--image', 'busybox', '--restart', 'Never', `--overrides=${overrides}`],
    ...['--command', '--', 'sh', '-c', 'echo hello; sleep 1000'],
  ])
  await eventually('its log', async () => (await kubectl.run(['logs', 'p'])).stdout === 'hello\n', {
    clock,
    timeout: 30_000,
    every: 250,
  })
  expect((await kubectl.run(['exec', 'p', '--', 'echo', 'inside'])).stdout).toBe('inside\n')
})
