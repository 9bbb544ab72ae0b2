import {
  deepEqual,
  type LabelSelector,
  type MutatingWebhookConfiguration,
  type ValidatingWebhookConfiguration,
} from '@outrigger/kube'

type Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration
type Requirement = NonNullable<LabelSelector['matchExpressions']>[number]

/**
 * Labels by which a managed cluster keeps its own namespaces away from all webhooks: AKS adds requirements on them to every
 * namespaceSelector, and again whenever they are taken out.
 */
const enforcedKeys: ReadonlySet<string> = new Set(['control-plane', 'kubernetes.azure.com/managedby'])

/** The configuration with the requirements, and their order, that a managed cluster put into the one that is there. */
export function withEnforcedSelectors<T extends Configuration>(wanted: T, found: T): T {
  const selectors = new Map(
    (found.webhooks ?? []).map(({ name, namespaceSelector }) => [name, namespaceSelector]),
  )
  const webhooks = (wanted.webhooks ?? []).map((webhook) => {
    const theirs = selectors.get(webhook.name)?.matchExpressions ?? []
    const ours = webhook.namespaceSelector?.matchExpressions ?? []
    const matchExpressions = withEnforced(ours, theirs)
    if (matchExpressions === ours) return webhook
    return { ...webhook, namespaceSelector: { ...webhook.namespaceSelector, matchExpressions } }
  })
  return { ...wanted, webhooks }
}

function withEnforced(ours: readonly Requirement[], theirs: readonly Requirement[]): readonly Requirement[] {
  const lacks = (list: readonly Requirement[]) => (one: Requirement) =>
    !list.some((other) => deepEqual(one, other))
  const enforced = theirs.filter(({ key }) => enforcedKeys.has(key)).filter(lacks(ours))
  if (enforced.length === 0 && theirs.length !== ours.length) return ours
  const all = [...ours, ...enforced]
  const isSame = all.length === theirs.length && !all.some(lacks(theirs))
  return isSame ? theirs : all
}
