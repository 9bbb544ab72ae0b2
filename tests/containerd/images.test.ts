import { request } from 'node:http'
import { busyboxImage, ensureImage, httpEchoImage, readBusybox, systemPath } from '@outrigger/runtime-cri'
import { startTestRegistry } from '@outrigger/runtime-cri/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  aContainer,
  aNode,
  aSandbox,
  clock,
  eventually,
  mustSkip,
  type Node,
  soon,
  stateOf,
} from './a-node.ts'

describe.skipIf(await mustSkip('images.test.ts'))('images', () => {
  let node: Node
  beforeAll(async () => {
    node = await aNode()
  })
  afterAll(async () => {
    await node?.remove()
  })

  test('are pulled from a registry, with credentials where it wants them', async () => {
    const registry = await startTestRegistry({ login: 'me:secret' })
    const reference = registry.add('team/box:1', busyboxImage('box', await readBusybox(systemPath)))
    await expect(node.runtime.pullImage(reference, undefined, soon())).rejects.toMatchObject({
      code: 'image-pull-failed',
    })
    await expect(
      node.runtime.pullImage(reference, { username: 'me', password: 'wrong' }, soon()),
    ).rejects.not.toThrow('wrong')

    const image = await node.runtime.pullImage(reference, { username: 'me', password: 'secret' }, soon())
    expect(image.tags).toContain(reference)
    expect(image.digests[0]).toMatch(new RegExp(`^${registry.address}/team/box@sha256:`))
    await node.runtime.removeImage(reference, soon())
    expect(await node.runtime.imageStatus(reference, soon())).toBeUndefined()
    await node.runtime.removeImage(reference, soon())
    await registry.close()
  })

  test('that do not exist are refused in the words of a kubelet', async () => {
    const registry = await startTestRegistry()
    const name = `${registry.address}/team/none:1`
    await expect(node.runtime.pullImage(name, undefined, soon())).rejects.toMatchObject({
      code: 'image-pull-failed',
      message: `rpc error: code = NotFound desc = failed to pull and unpack image "${name}": failed to resolve reference "${name}": ${name}: not found`,
    })
    await registry.close()
  })

  test('come from the registry when it answers, and from a local build when not', async () => {
    const busybox = await readBusybox(systemPath)
    const registry = await startTestRegistry()
    const reference = registry.add('library/box:2', busyboxImage('box', busybox))
    const ensure = () =>
      ensureImage(
        {
          reference,
          runtime: node.runtime,
          build: async (name) => busyboxImage(name, busybox),
          ctr: node.containerd.binaries.ctr,
          socket: node.containerd.socket,
          clock,
        },
        soon(),
      )
    expect(await ensure()).toEqual({ from: 'registry' })
    expect(await ensure()).toEqual({ from: 'this machine' })
    expect(registry.pulls('library/box:2')).toBeGreaterThan(0)
    await node.runtime.removeImage(reference, soon())
    registry.failWith(503)
    expect(await ensure()).toMatchObject({ from: 'local build', because: expect.stringContaining('503') })
    await registry.close()
  })

  test('an http-echo stand-in answers many requests at once and ends promptly', async () => {
    const busybox = await readBusybox(systemPath)
    const reference = 'docker.io/hashicorp/http-echo:stand-in'
    const { importImage } = await import('@outrigger/runtime-cri')
    await importImage(httpEchoImage(reference, busybox), {
      ctr: node.containerd.binaries.ctr,
      socket: node.containerd.socket,
      clock,
      isPresent: async () => (await node.runtime.imageStatus(reference, soon())) !== undefined,
    })
    const spec = aSandbox(node.files)
    const sandbox = await node.runtime.createSandbox(spec, soon())
    const container = await node.runtime.createContainer(
      sandbox.id,
      aContainer([], { image: reference, args: ['-listen=:8080', '-text="hello world"'] }),
      soon(),
    )
    await node.runtime.startContainer(container, soon())
    const ip = sandbox.ips[0] ?? ''
    await eventually('an answer', () => get(ip, '/').catch(() => undefined))
    const begin = clock.monotonic()
    const answers = await Promise.all(Array.from({ length: 50 }, (_, index) => get(ip, `/any/${index}`)))
    process.stderr.write(`http-echo: 50 requests at once in ${Math.round(clock.monotonic() - begin)} ms\n`)
    expect(new Set(answers)).toEqual(new Set(['200 "hello world"\n']))
    expect(await get(ip, '/', 'x'.repeat(50_000))).toBe('200 "hello world"\n')

    const log = (await node.files.readTail(`${spec.logDirectory}/main/0.log`, 4096))?.toString()
    expect(log).toMatch(/ stderr F \d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d Server is listening on :8080\n/)
    const stopping = clock.monotonic()
    await node.runtime.stopContainer(container, 30, soon())
    expect(clock.monotonic() - stopping).toBeLessThan(2000)
    expect(await stateOf(node, container)).toMatchObject({ state: 'exited', exitCode: 0 })
    await node.runtime.removeSandbox(sandbox.id, soon())
  })
})

function get(host: string, path: string, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({
      host,
      port: 8080,
      path,
      method: body === undefined ? 'GET' : 'POST',
      timeout: 5000,
      agent: false,
    })
    asked.on('response', (response) => {
      let text = ''
      response.on('data', (chunk) => {
        text += String(chunk)
      })
      response.on('end', () => resolve(`${response.statusCode} ${text}`))
      response.on('error', reject)
    })
    asked.on('timeout', () => asked.destroy(new Error('timed out')))
    asked.on('error', reject)
    asked.end(body)
  })
}
