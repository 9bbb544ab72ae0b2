import type { IncomingMessage } from 'node:http'
import { BadReview } from './bad-review.ts'

/** The JSON in a request. @throws BadReview when it is too large, cut short or no JSON. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBytes) throw new BadReview(`the body has more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new BadReview('the body is not JSON')
  }
}
