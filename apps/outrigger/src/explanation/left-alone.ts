import type { NamespaceFacts } from '@outrigger/injection'
import { defaultNames } from '@outrigger/operator'

/** Why no pod of a namespace is ever injected, in a few words; `undefined` where pods are. */
export function whyLeftAlone({ name, labels }: NamespaceFacts): string | undefined {
  if (name === defaultNames.namespace) return `namespace ${name} is the manager's own`
  return labels?.['control-plane'] === undefined ? undefined : `namespace ${name} has the label control-plane`
}
