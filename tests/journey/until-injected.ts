import type { ClusterClient } from '@outrigger/client'
import { SystemClock } from '@outrigger/foundation'
import { type Labels, type Pod, resources } from '@outrigger/kube'
import { eventually } from '@outrigger/testkit'

/**
 * Resolves once a pod with these labels would be created with a container of this name. The manager hears of a new
 * SidecarSet over its watch; pods from before would stay as they are.
 */
export async function untilInjected(
  client: ClusterClient,
  container: string,
  { namespace, labels }: { readonly namespace: string; readonly labels: Labels },
): Promise<void> {
  const rehearse = () =>
    client.create<Pod>(
      resources.pods,
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { namespace, name: 'rehearsal', labels: { ...labels } },
        spec: { containers: [{ name: 'main', image: 'main:1' }] },
      },
      { dryRun: true },
    )
  await eventually(
    `injection of ${container}`,
    async () => {
      const { containers, initContainers = [] } = (await rehearse()).spec
      return [...containers, ...initContainers].some(({ name }) => name === container)
    },
    { clock: new SystemClock(), timeout: 60_000, every: 50 },
  )
}
