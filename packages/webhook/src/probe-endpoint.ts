import { request } from 'node:https'

export interface Endpoint {
  readonly host: string
  readonly port: number
  /** The name in the certificate, where it is not the host. */
  readonly serverName?: string
  /** PEM of the authorities to trust. */
  readonly authorities: string
}

/** Whether `GET /healthz` is answered, over TLS that callers of the webhook would accept. Never rejects. */
export function answers(endpoint: Endpoint, timeout = 2_000): Promise<boolean> {
  return new Promise((resolve) => {
    const { host, port, serverName, authorities } = endpoint
    const probe = request(
      {
        host,
        port,
        path: '/healthz',
        ca: authorities,
        timeout,
        agent: false,
        ...(serverName !== undefined && { servername: serverName }),
      },
      (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      },
    )
    probe.on('timeout', () => probe.destroy())
    probe.on('error', () => resolve(false))
    probe.end()
  })
}
