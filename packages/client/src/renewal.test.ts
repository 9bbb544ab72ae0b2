import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { SystemClock } from '@outrigger/foundation'
import { ManualClock, MemoryLogger } from '@outrigger/foundation/testing'
import { resources } from '@outrigger/kube'
import { afterEach, describe, expect, test } from 'vitest'
import { createClient } from './api-client.ts'
import type { ConnectionConfig } from './connection-config.ts'
import { inClusterConfig } from './in-cluster-config.ts'
import { loadKubeconfig } from './kubeconfig.ts'
import { answer, pem, type Request, type Response, startLoopbackServer } from './testing/loopback-server.ts'
import { withExec } from './testing/small-cluster.ts'

const web = { namespace: 'default', name: 'web' }
const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' } }
const minute = 60_000
const closing: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

describe.each(['h2', 'http/1.1'] as const)('over %s', (protocol) => {
  test('the authority of a pod is renewed beside the token, as the kubelet does it', async () => {
    const volume = aProjectedVolume({ 'ca.crt': pem('ca'), namespace: 'default', token: 'old' })
    const old = await aServer({ protocol, token: 'old' })
    const port = Number(new URL(old.config.server).port)
    const client = aClient(inCluster(port, volume.folder))
    await client.create(resources.pods, pod)

    await old.close()
    volume.swap({ 'ca.crt': pem('new-ca'), namespace: 'default', token: 'new' })
    const renewed = await aServer({ protocol, token: 'new', port, isRenewed: true })

    // No minute has passed: the first write finds out by itself.
    await until(async () => (await client.raw({ method: 'GET', path: '/x' })).status === 200)
    await client.create(resources.pods, pod)
    expect(renewed.written()).toBe(1)
  })

  test('a client certificate that was renewed is shown when the old one is refused, and nothing fails', async () => {
    const volume = aProjectedVolume({ 'tls.crt': pem('client'), 'tls.key': pem('client-key') })
    const server = await aServer({ protocol, user: 'client' })
    const client = aClient(aKubeconfig(server.config, volume.folder))
    const failures: unknown[] = []
    const writes = async () => {
      for (let number = 0; number < 25; number++)
        await client.patch(resources.pods, web, { type: 'merge', body: {} }).catch((error: unknown) => {
          failures.push(error)
        })
    }

    await writes()
    volume.swap({ 'tls.crt': pem('new-client'), 'tls.key': pem('new-client-key') })
    server.accept({ user: 'new-client' })
    await Promise.all([writes(), writes(), writes()])

    expect(failures).toEqual([])
    expect(server.written()).toBe(100)
  })

  test('a client certificate is read again every minute, before anybody refuses it', async () => {
    const volume = aProjectedVolume({ 'tls.crt': pem('client'), 'tls.key': pem('client-key') })
    const server = await aServer({ protocol })
    const clock = new ManualClock()
    const client = aClient(aKubeconfig(server.config, volume.folder), clock)
    const user = async () => (await client.raw({ method: 'GET', path: '/x' })).body.toString()
    expect(await user()).toBe('{"user":"client"}')

    volume.swap({ 'tls.crt': pem('new-client'), 'tls.key': pem('new-client-key') })
    expect(await user()).toBe('{"user":"client"}')
    await clock.advance(minute)

    expect(await user()).toBe('{"user":"new-client"}')
  })
})

test('certificate and key in one file are renewed together', async () => {
  const folder = aFolder()
  const file = join(folder, 'kubelet-client-current.pem')
  symlink(folder, 'kubelet-client-current.pem', `${pem('client')}${pem('client-key')}`)
  const server = await aServer({ protocol: 'h2', user: 'client' })
  const user = { 'client-certificate': file, 'client-key': file }
  const client = aClient(aKubeconfig(server.config, folder, user))
  await client.create(resources.pods, pod)

  symlink(folder, 'kubelet-client-current.pem', `${pem('new-client')}${pem('new-client-key')}`)
  server.accept({ user: 'new-client' })

  await client.create(resources.pods, pod)
  expect(server.written()).toBe(2)
})

test('a certificate whose key has not come yet, or that is garbage, is not used', async () => {
  const folder = aFolder()
  const put = (name: string, content: string) => writeFileSync(join(folder, name), content)
  put('tls.crt', pem('client'))
  put('tls.key', pem('client-key'))
  const server = await aServer({ protocol: 'h2' })
  const clock = new ManualClock()
  const logger = new MemoryLogger()
  const client = aClient(aKubeconfig(server.config, folder), clock, logger)
  const user = async () => (await client.raw({ method: 'GET', path: '/x' })).body.toString()

  put('tls.crt', pem('new-client'))
  await clock.advance(minute)
  expect(await user()).toBe('{"user":"client"}')
  put('tls.crt', 'garbage')
  await clock.advance(5_000)
  expect(await user()).toBe('{"user":"client"}')
  put('tls.crt', pem('new-client'))
  put('tls.key', pem('new-client-key'))
  await clock.advance(5_000)

  expect(await user()).toBe('{"user":"new-client"}')
  expect(JSON.stringify(logger)).not.toContain('PRIVATE')
})

test('calls under way while everything is renewed end well', async () => {
  const volume = aProjectedVolume({ 'ca.crt': pem('ca'), namespace: 'default', token: 'one' })
  const server = await aServer({ protocol: 'h2', token: 'one' })
  const client = aClient(inCluster(Number(new URL(server.config.server).port), volume.folder))
  const held = client.raw({ method: 'GET', path: '/hold' })
  await until(() => server.held.length === 1)

  volume.swap({ 'ca.crt': `${pem('ca')}${pem('new-ca')}`, namespace: 'default', token: 'two' })
  server.accept({ token: 'two' })
  await Promise.all(Array.from({ length: 50 }, () => client.create(resources.pods, pod)))
  for (const release of server.held) release()

  expect((await held).status).toBe(200)
  expect(server.written()).toBe(50)
})

test('a watch under way goes on when the certificate is renewed', async () => {
  const volume = aProjectedVolume({ 'tls.crt': pem('client'), 'tls.key': pem('client-key') })
  const server = await aServer({ protocol: 'h2', user: 'client' })
  const client = aClient(aKubeconfig(server.config, volume.folder))
  const events = client.watch(resources.pods, { signal: AbortSignal.timeout(60_000) })[Symbol.asyncIterator]()
  await events.next()

  volume.swap({ 'tls.crt': pem('new-client'), 'tls.key': pem('new-client-key') })
  server.accept({ user: 'new-client' })
  await client.create(resources.pods, pod)
  for (const release of server.held) release()

  expect(await events.next()).toMatchObject({ value: { type: 'MODIFIED' } })
  expect(await events.next()).toMatchObject({ done: true })
})

test('exec is asked for again as whom we have become meanwhile', async () => {
  const volume = aProjectedVolume({ 'ca.crt': pem('ca'), namespace: 'default', token: 'one' })
  const server = await aServer({ protocol: 'http/1.1', token: 'one' })
  const client = aClient(inCluster(Number(new URL(server.config.server).port), volume.folder))
  await client.create(resources.pods, pod)

  volume.swap({ 'ca.crt': pem('ca'), namespace: 'default', token: 'two' })
  server.accept({ token: 'two' })

  const { stdout } = await client.exec(web, { command: ['true'] })
  expect(String(stdout)).toBe('hi')
})

test('a call ends at its timeout, however long a plugin takes', async () => {
  const server = await aServer({ protocol: 'h2' })
  const exec = {
    apiVersion: 'client.authentication.k8s.io/v1',
    command: 'sleep',
    args: ['50'],
    environment: { PATH: '/usr/bin:/bin' },
  }
  const client = aClient({ ...server.config, credentials: { exec } })
  const controller = new AbortController()
  const call = client.version({ signal: controller.signal })

  controller.abort(new Error('enough'))

  await expect(call).rejects.toThrow('enough')
})

test('a server is known by the name that tls-server-name gives, or taken as it is', async () => {
  const server = await aServer({ protocol: 'h2' })
  const path = { method: 'GET', path: '/x' } as const

  await expect(aClient({ ...server.config, serverName: 'api.test' }).raw(path)).resolves.toBeDefined()
  await expect(aClient({ ...server.config, serverName: 'other.test' }).raw(path)).rejects.toMatchObject({
    phase: 'final',
  })
  const { certificateAuthority: _, ...unknown } = server.config
  await expect(aClient({ ...unknown, acceptsAnyServer: true }).raw(path)).resolves.toBeDefined()
})

interface Accepted {
  readonly token?: string
  readonly user?: string
}

/** A server that answers 401 to whom it does not accept, and says who asks. */
async function aServer(
  options: Accepted & {
    readonly protocol: 'h2' | 'http/1.1'
    readonly port?: number
    readonly isRenewed?: boolean
  },
) {
  let accepted: Accepted = options
  let written = 0
  const held: (() => void)[] = []
  const isAccepted = (request: Request) =>
    (accepted.token === undefined || request.headers.authorization === `Bearer ${accepted.token}`) &&
    (accepted.user === undefined || userOf(request) === accepted.user)
  const handler = (request: Request, response: Response) => {
    if (!isAccepted(request)) return answer(response, 401, { kind: 'Status', code: 401 })
    const body = { user: userOf(request) }
    if (request.url?.includes('watch=true')) {
      response.writeHead(200)
      response.write(`${JSON.stringify({ type: 'ADDED', object: pod })}\n`)
      held.push(() => response.end(`${JSON.stringify({ type: 'MODIFIED', object: pod })}\n`))
      return
    }
    if (request.url === '/hold') return void held.push(() => answer(response, 200, body))
    if (request.method !== 'GET') written++
    answer(response, 200, body)
  }
  const server = await startLoopbackServer(handler, { requestClientCertificate: true, ...options })
  withExec(server.server, isAccepted)
  closing.push(() => server.close())
  return {
    ...server,
    held,
    accept: (next: Accepted) => {
      accepted = next
    },
    written: () => written,
  }
}

function userOf(request: Request): string | undefined {
  // Both kinds of request come over TLS here.
  const socket = ('stream' in request ? request.stream.session?.socket : request.socket) as TLSSocket
  return socket.getPeerCertificate().subject?.CN?.toString()
}

/** A folder as the kubelet fills it: what is in it is replaced at once, by moving a link. */
function aProjectedVolume(files: Readonly<Record<string, string>>) {
  const folder = aFolder()
  let generation = 0
  const swap = (content: Readonly<Record<string, string>>) => {
    const name = `..${++generation}`
    mkdirSync(join(folder, name))
    for (const [file, text] of Object.entries(content)) writeFileSync(join(folder, name, file), text)
    symlinkSync(name, join(folder, '..data_tmp'))
    renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    rmSync(join(folder, `..${generation - 1}`), { recursive: true, force: true })
  }
  swap(files)
  for (const file of Object.keys(files)) symlinkSync(join('..data', file), join(folder, file))
  return { folder, swap }
}

function symlink(folder: string, name: string, content: string): void {
  const target = `${name}.${content.length}`
  writeFileSync(join(folder, target), content)
  symlinkSync(target, join(folder, `${name}.tmp`))
  renameSync(join(folder, `${name}.tmp`), join(folder, name))
}

function inCluster(port: number, folder: string): ConnectionConfig {
  const environment = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(port) }
  return inClusterConfig({ environment, folder })
}

function aKubeconfig(
  { server, certificateAuthority = '' }: ConnectionConfig,
  folder: string,
  user: Readonly<Record<string, string>> = { 'client-certificate': 'tls.crt', 'client-key': 'tls.key' },
): ConnectionConfig {
  const path = join(folder, 'config')
  const data = Buffer.from(certificateAuthority).toString('base64')
  const content = {
    'current-context': 'x',
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority-data': data } }],
    users: [{ name: 'u', user }],
  }
  writeFileSync(path, JSON.stringify(content))
  return loadKubeconfig({ path, environment: {} })
}

function aClient(
  config: ConnectionConfig,
  clock: ManualClock | SystemClock = new SystemClock(),
  logger = new MemoryLogger(),
) {
  const client = createClient({ config, clock, logger })
  closing.push(() => client.close())
  return client
}

function aFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'renewal-'))
  closing.push(() => rmSync(folder, { recursive: true }))
  return folder
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let step = 0; step < 6_000 && !(await condition()); step++)
    await new Promise((resolve) => setTimeout(resolve, 5))
  expect(await condition()).toBe(true)
}
