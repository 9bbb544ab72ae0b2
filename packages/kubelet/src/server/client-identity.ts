import type { TLSSocket } from 'node:tls'
import { ServerError } from './server-error.ts'

export interface AllowedClients {
  /** Common names that may use the server, beside everybody in `system:masters`. */
  readonly commonNames: readonly string[]
}

/**
 * Checks that the caller showed a certificate of the client CA and may use a kubelet.
 * @throws ServerError 401 without a certificate, 403 for a stranger
 */
export function checkClient(socket: TLSSocket, allowed: AllowedClients): void {
  if (!socket.authorized) throw new ServerError(401, 'Unauthorized')
  const { subject } = socket.getPeerCertificate()
  const groups = subject?.O === undefined ? [] : ([] as string[]).concat(subject.O)
  const names = subject?.CN === undefined ? [] : ([] as string[]).concat(subject.CN)
  if (groups.includes('system:masters') || names.some((name) => allowed.commonNames.includes(name))) return
  throw new ServerError(403, `Forbidden (user=${names[0] ?? 'unknown'})`)
}
