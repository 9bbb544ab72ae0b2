import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** A way to a server that can be cut and blocked. */
export interface FaultyNetwork {
  readonly port: number
  /** Connections made so far, and those open now. */
  readonly connections: { readonly made: number; readonly open: number }
  /** Existing connections stay open and deliver nothing any more, in neither direction; new ones work. */
  freeze(): void
  /** Ends all connections and refuses new ones until `restore`. */
  cut(): void
  restore(): void
  close(): Promise<void>
}

/** A loopback port that passes everything on to `target`. */
export async function startFaultyNetwork(target: number): Promise<FaultyNetwork> {
  const pairs = new Set<readonly [Socket, Socket]>()
  let made = 0
  let isCut = false
  const server = createServer((near) => {
    near.on('error', () => near.destroy())
    if (isCut) return void near.resetAndDestroy()
    made++
    const far = connect(target, '127.0.0.1')
    const pair = [near, far] as const
    pairs.add(pair)
    far.on('error', () => near.destroy())
    near.on('close', () => {
      far.destroy()
      pairs.delete(pair)
    })
    far.on('close', () => near.destroy())
    near.pipe(far)
    far.pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return { made, open: pairs.size }
    },
    freeze() {
      for (const [near, far] of pairs) {
        near.unpipe(far)
        far.unpipe(near)
        near.pause()
        far.pause()
      }
    },
    cut() {
      isCut = true
      for (const [near] of pairs) near.destroy()
    },
    restore() {
      isCut = false
    },
    async close() {
      for (const [near] of pairs) near.destroy()
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
}
