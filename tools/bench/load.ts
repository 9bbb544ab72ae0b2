import { connect } from 'node:http2'

export interface Target {
  readonly url: string
  /** PEM. */
  readonly ca: string
  readonly token: string
}

export interface LoadRequest {
  readonly method: string
  readonly path: string
  readonly body: string
  readonly contentType: string
}

export interface LoadFigures {
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/**
 * Sends `total` requests from `clients` clients, each with a connection of its own and one request in
 * flight. @throws when any answer is not 2xx.
 */
export async function load(
  target: Target,
  clients: number,
  total: number,
  request: (index: number) => LoadRequest,
): Promise<LoadFigures> {
  const sessions = Array.from({ length: clients }, () => connect(target.url, { ca: target.ca }))
  await Promise.all(
    sessions.map(
      (session) =>
        new Promise<void>((resolve, reject) =>
          session.once('connect', () => resolve()).once('error', reject),
        ),
    ),
  )
  const times: number[] = []
  let next = 0
  const begin = performance.now()
  await Promise.all(
    sessions.map(async (session) => {
      while (next < total) {
        const sent = performance.now()
        await send(session, target.token, request(next++))
        times.push(performance.now() - sent)
      }
    }),
  )
  const seconds = (performance.now() - begin) / 1000
  for (const session of sessions) session.close()
  times.sort((a, b) => a - b)
  const at = (share: number) =>
    round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0)
  return { requests: total, perSecond: Math.round(total / seconds), p50Ms: at(0.5), p99Ms: at(0.99) }
}

function send(
  session: ReturnType<typeof connect>,
  token: string,
  { method, path, body, contentType }: LoadRequest,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': method,
      ':path': path,
      authorization: `Bearer ${token}`,
      'content-type': contentType,
      accept: 'application/json',
    })
    let status = 0
    let answer = ''
    stream.on('response', (headers) => {
      status = Number(headers[':status'])
    })
    stream.on('data', (chunk: Buffer) => {
      if (status >= 300) answer += chunk.toString('utf8')
    })
    stream.on('end', () =>
      status < 300 ? resolve() : reject(new Error(`${method} ${path} answered ${status}: ${answer}`)),
    )
    stream.on('error', reject)
    stream.end(body)
  })
}

export function round(value: number): number {
  return Math.round(value * 100) / 100
}
