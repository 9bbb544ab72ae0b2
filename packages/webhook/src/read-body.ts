import type { IncomingMessage } from 'node:http'
import { BadReview } from './bad-review.ts'

/** The JSON in a request. @throws BadReview when it is too large, cut short or no JSON. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const text = await readText(request, maxBytes)
  try {
    return JSON.parse(text)
  } catch {
    throw new BadReview('the body is not JSON')
  }
}

/** By events, not by iteration: a review comes in one or two pieces, and each turn of an iterator costs as much as planning. */
function readText(request: IncomingMessage, maxBytes: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= maxBytes) chunks.push(chunk)
      else reject(new BadReview(`the body has more than ${maxBytes} bytes`))
    })
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')))
    request.on('error', () => reject(new BadReview('the body was cut short')))
    request.on('close', () => reject(new BadReview('the body was cut short')))
  })
}
