import { Agent, request } from 'node:https'

/** What callers of a webhook have seen. */
export interface LoadReport {
  readonly answered: number
  /** What went wrong, one entry for each review that was not answered with 200. */
  readonly failures: readonly string[]
  /** Connections opened. */
  readonly connections: number
}

export interface LoadOptions {
  readonly port: number
  /** Whether one connection is used for all reviews, or each gets its own. */
  readonly keepsConnection: boolean
  /** PEM of the authorities to trust, as the caller knows them at this moment. */
  readonly trusted: () => string
  readonly serverName: string
  readonly body: string
}

/** Sends one review after the other until the signal aborts. */
export async function sendReviews(options: LoadOptions, signal: AbortSignal): Promise<LoadReport> {
  const failures: string[] = []
  const sockets = new Set<unknown>()
  let answered = 0
  // Trust is decided when a connection begins; an agent would open another for a different list.
  const first = options.trusted()
  let agent = new Agent({ keepAlive: true, maxSockets: 1 })
  while (!signal.aborted) {
    if (!options.keepsConnection) {
      agent.destroy()
      agent = new Agent({ keepAlive: false })
    }
    const outcome = await sendReview(
      options,
      options.keepsConnection ? first : options.trusted(),
      agent,
      sockets,
    )
    if (outcome === undefined) answered++
    else failures.push(outcome)
  }
  agent.destroy()
  return { answered, failures, connections: sockets.size }
}

function sendReview(
  { port, serverName, body }: LoadOptions,
  ca: string,
  agent: Agent,
  sockets: Set<unknown>,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const call = request(
      {
        host: '127.0.0.1',
        port,
        path: '/mutate-pod?timeout=5s',
        method: 'POST',
        servername: serverName,
        ca,
        agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.resume()
        response.on('end', () =>
          resolve(response.statusCode === 200 ? undefined : `status ${response.statusCode}`),
        )
      },
    )
    call.on('socket', (socket) => sockets.add(socket))
    call.on('error', (error) => resolve(String(error)))
    call.end(body)
  })
}
