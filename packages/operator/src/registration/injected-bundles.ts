import type { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '@outrigger/kube'

/**
 * The configuration with the caBundles that somebody else wrote into the one that is there. An entry that is new there
 * gets the bundle of the others: the injector writes the same into all of them.
 */
export function withInjectedBundles<T extends MutatingWebhookConfiguration | ValidatingWebhookConfiguration>(
  wanted: T,
  found: T,
): T {
  const bundles = new Map(
    (found.webhooks ?? []).map(({ name, clientConfig }) => [name, clientConfig.caBundle]),
  )
  const any = [...bundles.values()].find(Boolean)
  const webhooks = (wanted.webhooks ?? []).map((webhook) => {
    const caBundle = bundles.get(webhook.name) || any
    return caBundle ? { ...webhook, clientConfig: { ...webhook.clientConfig, caBundle } } : webhook
  })
  return { ...wanted, webhooks }
}
