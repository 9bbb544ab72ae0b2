import type { Client } from '@outrigger/client'
import { isRecord } from '@outrigger/kube'
import type { WebhookDeclaration } from '@outrigger/webhook'

/** Match conditions of webhooks are served from 1.28 on; an older server drops them or refuses the object. */
const matchConditionsSince = 28

/** Whether the API server knows `matchConditions`, by its version. A server that does not say is taken for an old one. */
export async function servesMatchConditions(
  client: Pick<Client, 'raw'>,
  signal: AbortSignal,
): Promise<boolean> {
  const { status, body } = await client.raw({ method: 'GET', path: '/version', signal })
  if (status !== 200) return false
  const version: unknown = JSON.parse(body.toString('utf8'))
  if (!isRecord(version)) return false
  const [major, minor] = [version['major'], version['minor']].map((part) =>
    // Managed clusters write `28+`.
    Number.parseInt(typeof part === 'string' ? part : '', 10),
  )
  if (major === undefined || minor === undefined || Number.isNaN(major) || Number.isNaN(minor)) return false
  return major > 1 || (major === 1 && minor >= matchConditionsSince)
}

/** The declaration for a server without match conditions: it asks more often, and gets the same answers. */
export function withoutMatchConditions(declaration: WebhookDeclaration): WebhookDeclaration {
  const { matchConditions: _, ...rest } = declaration
  return rest
}
