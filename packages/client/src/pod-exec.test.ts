import type { IncomingMessage } from 'node:http'
import { SystemClock } from '@outrigger/foundation'
import { afterEach, describe, expect, test } from 'vitest'
import { type WebSocket, WebSocketServer } from 'ws'
import { type ClusterClient, createClient } from './api-client.ts'
import { answer, startLoopbackServer } from './testing/loopback-server.ts'

const web = { namespace: 'default', name: 'web' }
const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

describe('exec', () => {
  test('sends standard input, ends it, and brings back output and exit code', async () => {
    const { client, requests } = await aCluster((socket) => {
      let input = ''
      socket.on('message', (data: Buffer) => {
        if (data[0] === 0) input += data.subarray(1).toString()
        if (data[0] !== 255) return
        socket.send(Buffer.from(`\u0001got ${input}`))
        socket.send(Buffer.from('\u0002oops'))
        socket.send(Buffer.from(`\u0003${JSON.stringify(nonZero('3'))}`))
      })
    })

    const result = await client.exec(web, {
      container: 'main',
      command: ['sh', '-c', 'x'],
      stdin: anInput('a', 'b'),
    })

    expect({ ...result, stdout: String(result.stdout), stderr: String(result.stderr) }).toEqual({
      exitCode: 3,
      stdout: 'got ab',
      stderr: 'oops',
    })
    expect(requests).toEqual([
      '/api/v1/namespaces/default/pods/web/exec?container=main&command=sh&command=-c&command=x&stdin=true&stdout=true&stderr=true&tty=false',
    ])
  })

  test('makes do with a server that only knows v4', async () => {
    const { client } = await aCluster(
      (socket) => {
        socket.send(Buffer.from('\u0001hi'))
        socket.send(Buffer.from('\u0003{"status":"Success"}'))
      },
      { protocol: 'v4.channel.k8s.io' },
    )

    const { exitCode, stdout } = await client.exec(web, { command: ['true'] })

    expect([exitCode, String(stdout)]).toEqual([0, 'hi'])
  })

  test('throws what the server answers instead of upgrading', async () => {
    const { client } = await aCluster(() => {}, { refuse: true })

    await expect(client.exec(web, { command: ['true'] })).rejects.toMatchObject({
      code: 403,
      reason: 'Forbidden',
    })
  })

  test('throws when the command could not be run at all', async () => {
    const { client } = await aCluster((socket) => {
      socket.send(Buffer.from('\u0003{"status":"Failure","code":500,"message":"no such file"}'))
    })

    await expect(client.exec(web, { command: ['nope'] })).rejects.toThrow('no such file')
  })

  test('throws when the connection breaks before the command has ended', async () => {
    const { client } = await aCluster((socket) => socket.terminate())

    await expect(client.exec(web, { command: ['sleep'] })).rejects.toMatchObject({ name: 'ConnectionError' })
  })

  test('ends when it is aborted', async () => {
    const { client } = await aCluster(() => {})
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('enough')), 20)

    await expect(client.exec(web, { command: ['sleep'], signal: controller.signal })).rejects.toThrow(
      'enough',
    )
  })
})

const nonZero = (code: string) => ({
  status: 'Failure',
  reason: 'NonZeroExitCode',
  details: { causes: [{ reason: 'ExitCode', message: code }] },
})

async function* anInput(...chunks: readonly string[]) {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

async function aCluster(
  play: (socket: WebSocket) => void,
  options: { readonly protocol?: string; readonly refuse?: boolean } = {},
): Promise<{ client: ClusterClient; requests: string[] }> {
  const requests: string[] = []
  const loopback = await startLoopbackServer(
    (_, response) => answer(response, 403, { kind: 'Status', code: 403, reason: 'Forbidden' }),
    { protocol: 'http/1.1' },
  )
  const sockets = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => {
      const wanted = options.protocol ?? 'v5.channel.k8s.io'
      return offered.has(wanted) ? wanted : false
    },
  })
  if (!options.refuse)
    loopback.server.on('upgrade', (request: IncomingMessage, socket, head) => {
      requests.push(request.url ?? '')
      sockets.handleUpgrade(request, socket, head, play)
    })
  const client = createClient({ config: loopback.config, clock: new SystemClock() })
  closing.push(loopback.close, () => client.close())
  return { client, requests }
}
