import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { ConnectionError } from './api-error.ts'
import type { TransportAnswer } from './transport.ts'

/**
 * The answer with its body as the server wrote it. We ask for no compression, but gateways compress
 * without being asked. Whoever reads the body limits its length: a few bytes may become very many.
 *
 * @throws ConnectionError for encodings other than gzip.
 */
export function decoded(answer: TransportAnswer): TransportAnswer {
  const encoding = (answer.headers['content-encoding'] ?? '').trim().toLowerCase()
  const isEmpty = answer.headers['content-length'] === '0' || answer.status === 204
  if (encoding === '' || encoding === 'identity' || isEmpty) return answer
  if (encoding !== 'gzip' && encoding !== 'x-gzip') {
    answer.body.destroy()
    throw new ConnectionError(`the answer is encoded as ${encoding.slice(0, 32)}, which was not asked for`, {
      phase: 'final',
    })
  }
  const body = createGunzip()
  // Whoever reads `body` hears of errors; leaving it early frees what is under it.
  pipeline(answer.body, body, () => {})
  return { ...answer, body }
}
