import type { ConnectionConfig } from './connection-config.ts'
import type { OutgoingHeaders } from './transport.ts'

/** The headers that ask the server to take us for somebody else; none where nobody is named. */
export function impersonation(config: ConnectionConfig): OutgoingHeaders {
  const impersonate = config.credentials?.impersonate
  if (impersonate === undefined) return {}
  const headers: Record<string, string | string[]> = { 'impersonate-user': impersonate.user }
  if (impersonate.groups !== undefined) headers['impersonate-group'] = [...impersonate.groups]
  if (impersonate.uid !== undefined) headers['impersonate-uid'] = impersonate.uid
  for (const [key, values] of Object.entries(impersonate.extra ?? {}))
    headers[`impersonate-extra-${escaped(key)}`] = [...values]
  return headers
}

/** A key as part of a header's name: what no name may hold is written in percents, which the server undoes. */
function escaped(key: string): string {
  return key
    .toLowerCase()
    .replace(/[^a-z0-9!#$&'*+.^_`|~-]/gu, (sign) =>
      [...Buffer.from(sign)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
    )
}
