import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SystemClock } from '@outrigger/foundation'
import { afterEach, expect, test } from 'vitest'
import { probeSocket } from './runtime-socket.ts'

const clock = new SystemClock()
const folder = mkdtempSync(join(tmpdir(), 'outrigger-socket-'))
const servers: Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
  rmSync(folder, { recursive: true, force: true })
})

test('finds somebody who listens, and says why it finds nobody', async () => {
  const path = join(folder, 'live.sock')
  const server = createServer((socket) => socket.destroy())
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  await expect(probeSocket(path, { clock })).resolves.toBeUndefined()

  await expect(probeSocket(join(folder, 'none.sock'), { clock })).rejects.toThrow('there is no such file')
  writeFileSync(join(folder, 'file'), '')
  await expect(probeSocket(join(folder, 'file'), { clock })).rejects.toThrow('it is not a socket')
})
