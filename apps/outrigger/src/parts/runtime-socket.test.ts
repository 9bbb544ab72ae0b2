import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SystemClock } from '@outrigger/foundation'
import { afterAll, afterEach, expect, test } from 'vitest'
import { probeSocket } from './runtime-socket.ts'

const clock = new SystemClock()
const folder = mkdtempSync(join(tmpdir(), 'outrigger-socket-'))
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

test('finds a server of HTTP/2', async () => {
  const path = await listening('live.sock', createHttp2Server())

  await expect(probeSocket(path, { clock })).resolves.toBeUndefined()
})

test('says why it finds none', async () => {
  await expect(probeSocket(join(folder, 'none.sock'), { clock })).rejects.toThrow('there is no such file')
  writeFileSync(join(folder, 'file'), '')
  await expect(probeSocket(join(folder, 'file'), { clock })).rejects.toThrow('it is not a socket')
  const older = await listening('older.sock', createHttpServer())
  await expect(probeSocket(older, { clock })).rejects.toThrow('it does not speak gRPC')
  const closing = await listening(
    'closing.sock',
    createServer((socket) => socket.destroy()),
  )
  await expect(probeSocket(closing, { clock })).rejects.toThrow()
})

test('does not wait for one that never speaks', async () => {
  const path = await listening('mute.sock', createServer())

  await expect(probeSocket(path, { clock }, 50)).rejects.toThrow(
    'somebody listens there, but does not answer',
  )
})

async function listening(name: string, server: Server): Promise<string> {
  const path = join(folder, name)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return path
}
