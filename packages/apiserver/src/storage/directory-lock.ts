import { createHash } from 'node:crypto'
import { realpathSync, unlinkSync } from 'node:fs'
import { createConnection, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '@outrigger/foundation'

/** Socket paths end here on Linux (108 with the final zero); elsewhere a little earlier. */
const longestSocketPath = 100

/**
 * Makes sure that only one server uses `directory`, by listening on a socket in it: the system lets go of
 * it when the process dies, however it dies. Resolves with what releases it. Throws a UserError when
 * somebody else holds it.
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = socketPath(realpathSync(directory))
  for (let attempt = 0; attempt < 3; attempt++) {
    const server = await listen(path)
    if (server !== undefined)
      return () =>
        new Promise((resolve) => {
          server.close(() => resolve())
        })
    if (await answers(path))
      throw new UserError(
        `another server uses the data directory ${directory}`,
        'stop it or choose another data directory',
      )
    // The holder died; what it left is only a name.
    unlinkSync(path)
  }
  throw new UserError(`the data directory ${directory} cannot be locked`, 'try again')
}

function socketPath(directory: string): string {
  const inside = join(directory, 'lock')
  if (inside.length <= longestSocketPath) return inside
  return join(tmpdir(), `outrigger-${createHash('sha256').update(directory).digest('hex').slice(0, 32)}.lock`)
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.unref()
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(path, () => resolve(server))
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
