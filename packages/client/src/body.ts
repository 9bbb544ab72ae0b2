import type { Readable } from 'node:stream'
import { ConnectionError } from './api-error.ts'

/** Reads a body to its end. @throws ConnectionError when it breaks off or is longer than `limit` bytes. */
export function readBody(body: Readable, limit: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    let hasEnded = false
    body.on('data', (chunk: Buffer) => {
      length += chunk.length
      chunks.push(chunk)
      if (length <= limit) return
      reject(new ConnectionError(`the answer is larger than ${limit} bytes`, { phase: 'final' }))
      body.destroy()
    })
    body.once('end', () => {
      hasEnded = true
      if (brokeOff(body)) return reject(lost(undefined))
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length))
    })
    body.on('error', (error) => reject(lost(error)))
    body.once('close', () => {
      if (!hasEnded) reject(lost(undefined))
    })
  })
}

/** The chunks of a body as they arrive. @throws ConnectionError when it breaks off. Frees the stream when left early. */
export async function* streamBody(body: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of body) yield chunk
    if (brokeOff(body)) throw lost(undefined)
  } catch (error) {
    throw lost(error)
  } finally {
    body.destroy()
  }
}

/** Whether a stream that has ended did so without the server's word: Node ends HTTP/2 streams of a lost connection quietly. */
function brokeOff(body: Readable): boolean {
  return 'rstCode' in body && typeof body.rstCode === 'number' && body.rstCode !== 0
}

function lost(cause: unknown): ConnectionError {
  if (cause instanceof ConnectionError) return cause
  const why = cause instanceof Error ? cause.message : 'the stream was closed'
  return new ConnectionError(`connection lost while the answer arrived: ${why}`, { cause })
}
