import { isNotFound, type Reader } from '@outrigger/client'
import type { Clock } from '@outrigger/foundation'
import { type Lease, type MutatingWebhookConfiguration, resources } from '@outrigger/kube'
import { defaultNames } from '@outrigger/operator'

/** Milliseconds that this machine's clock and a change of leaders may take. */
const leniency = 60_000

/**
 * Why nobody seems to manage SidecarSets in a cluster, with the remedy; `undefined` when somebody does, or nothing tells: a
 * manager that elects no leader leaves no lease, and the user may not be allowed to look.
 */
export async function managerAbsence(
  client: Pick<Reader, 'get'>,
  clock: Pick<Clock, 'now'>,
): Promise<string | undefined> {
  const { namespace, lease: name, webhooks } = defaultNames
  const lease = await found(client.get<Lease>(resources.leases, { namespace, name }))
  if (lease === 'unknown') return undefined
  if (lease !== undefined) return absenceIn(lease, clock.now())
  const configuration = await found(
    client.get<MutatingWebhookConfiguration>(resources.mutatingWebhookConfigurations, {
      namespace: '',
      name: webhooks.mutating,
    }),
  )
  return configuration === undefined
    ? 'no manager has registered webhooks here; outrigger install --apply'
    : undefined
}

async function found<T>(answer: Promise<T>): Promise<T | 'unknown' | undefined> {
  try {
    return await answer
  } catch (error) {
    return isNotFound(error) ? undefined : 'unknown'
  }
}

/** What a lease says of its holder's absence; `now` in milliseconds of the epoch. */
export function absenceIn({ metadata, spec }: Lease, now: number): string | undefined {
  const renewed = Date.parse(spec?.renewTime ?? '')
  const age = now - renewed
  if (Number.isNaN(renewed) || age < leniency + (spec?.leaseDurationSeconds ?? 0) * 1_000) return undefined
  const { name, namespace = '' } = metadata
  return `no manager leads: lease ${namespace}/${name} was last renewed at ${spec?.renewTime}; kubectl get pods -n ${namespace}`
}
