import WebSocket from 'ws'
import type { OutriggerProcess } from '../story/outrigger-process.ts'

/** Environment that makes a process of ours answer `heapOf`. */
export const withInspector = { NODE_OPTIONS: '--inspect=127.0.0.1:0' }

/** Bytes of living objects in a process started with `withInspector`: what is left after a full collection. */
export async function heapOf(process: OutriggerProcess): Promise<number> {
  const address = /Debugger listening on (ws:\S+)/.exec(process.output())?.[1]
  if (address === undefined) throw new Error(`no inspector in:\n${process.output()}`)
  const socket = new WebSocket(address)
  try {
    await once(socket, 'open')
    // Twice: what a finalizer lets go in the first collection is only freed in the second.
    await call(socket, 'HeapProfiler.collectGarbage')
    await call(socket, 'HeapProfiler.collectGarbage')
    const { usedSize } = await call(socket, 'Runtime.getHeapUsage')
    if (typeof usedSize !== 'number') throw new Error('the inspector names no heap size')
    return usedSize
  } finally {
    socket.close()
  }
}

/** One command of the inspector protocol; its result. */
async function call(socket: WebSocket, method: string): Promise<Readonly<Record<string, unknown>>> {
  const answer = once(socket, 'message')
  socket.send(JSON.stringify({ id: 1, method }))
  const message = JSON.parse(String(await answer)) as { readonly result?: Record<string, unknown> }
  if (message.result === undefined) throw new Error(`${method} failed: ${JSON.stringify(message)}`)
  return message.result
}

function once(socket: WebSocket, event: 'open' | 'message'): Promise<unknown> {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`no ${event} from the inspector within 20 s`)), 20_000)
    socket.once('error', fail)
    socket.once(event, (data: unknown) => {
      clearTimeout(timer)
      socket.off('error', fail)
      done(data)
    })
  })
}
