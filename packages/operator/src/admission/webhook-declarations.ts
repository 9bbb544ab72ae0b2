import { virtualNodeNames } from '@outrigger/api'
import type { SidecarSetIndex } from '@outrigger/injection'
import type { LabelSelectorRequirement, RuleWithOperations } from '@outrigger/kube'
import type { WebhookDeclaration } from '@outrigger/webhook'
import { guardedUpdate, newlyLabelled } from './guarded-update.ts'
import { requiredDeclarations } from './required-sidecar-sets.ts'

/** Where each handler is served. The longer spellings are those of OpenKruise's older charts. */
export const webhookPaths = {
  mutatePod: ['/mutate-pod'],
  validatePod: ['/validate-pod'],
  validateRequired: ['/validate-required-sidecarsets'],
  mutateSidecarSet: ['/mutate-apps-kruise-io-sidecarset', '/mutate-apps-kruise-io-v1alpha1-sidecarset'],
  validateSidecarSet: ['/validate-apps-kruise-io-sidecarset', '/validate-apps-kruise-io-v1alpha1-sidecarset'],
  validateBinding: ['/validate-sidecarset-alibabacloud-com-sidecarsetresourcebinding'],
  convert: ['/convert'],
} as const

type Requirement = LabelSelectorRequirement & {
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
}

const { podLabel, eciLabel, acsLabel, legacyPodLabel, legacyNamespaceLabel } = virtualNodeNames
const is = (key: string, value: string): Requirement => ({ key, operator: 'In', values: [value] })
const isNot = (key: string, value: string): Requirement => ({ key, operator: 'NotIn', values: [value] })

/** Labels that send a pod to a virtual node, and those that do so to all pods of a namespace. */
const podRoutes: readonly (readonly [string, string])[] = [
  [eciLabel, 'true'],
  [acsLabel, 'true'],
  [legacyPodLabel, 'true'],
]
const namespaceRoutes: readonly (readonly [string, string])[] = [
  [eciLabel, 'true'],
  [acsLabel, 'true'],
  [legacyNamespaceLabel, 'enabled'],
]

const create: RuleWithOperations = {
  apiGroups: [''],
  apiVersions: ['v1'],
  operations: ['CREATE'],
  resources: ['pods'],
  scope: 'Namespaced',
}

/**
 * What the API server must ask us about. Pods that go to virtual nodes for certain, and those that
 * are there, are asked about with failurePolicy Fail: without an answer none of them may start. All
 * others go on without us. Each pod creation falls into exactly one of the entries, because a second call would
 * take the work of the first for the author's. The manager's own namespace is asked about by none. `sidecarSets` are
 * looked at for those without which no pod may start.
 */
export function webhookDeclarations(
  managerNamespace: string,
  sidecarSets?: SidecarSetIndex,
): WebhookDeclaration[] {
  const elsewhere: Requirement[] = [
    isNot('kubernetes.io/metadata.name', managerNamespace),
    { key: 'control-plane', operator: 'DoesNotExist' },
  ]
  return [
    ...podCreations(elsewhere),
    {
      name: 'update.mpod.kb.io',
      kind: 'mutating',
      path: webhookPaths.mutatePod[0],
      rules: [{ ...create, operations: ['UPDATE'] }],
      failurePolicy: 'Fail',
      objectSelector: { matchExpressions: [{ key: podLabel, operator: 'Exists' }] },
      namespaceSelector: { matchExpressions: elsewhere },
      matchConditions: [newlyLabelled],
    },
    {
      name: 'vpod.kb.io',
      kind: 'validating',
      path: webhookPaths.validatePod[0],
      rules: [
        { ...create, operations: ['CREATE', 'UPDATE'], resources: ['pods', 'pods/ephemeralcontainers'] },
      ],
      failurePolicy: 'Fail',
      objectSelector: { matchExpressions: [{ key: podLabel, operator: 'Exists' }] },
      namespaceSelector: { matchExpressions: elsewhere },
      matchConditions: [guardedUpdate],
    },
    ...(sidecarSets ? requiredDeclarations(sidecarSets, webhookPaths.validateRequired[0], elsewhere) : []),
    ...ownResources(),
  ]
}

/** One entry that may be skipped, and one for each label that makes the destination certain. */
function podCreations(elsewhere: readonly Requirement[]): WebhookDeclaration[] {
  const noPodRoute = podRoutes.map(([key, value]) => isNot(key, value))
  const unlabelled: Requirement = { key: podLabel, operator: 'DoesNotExist' }
  const entry = (
    name: string,
    failurePolicy: 'Fail' | 'Ignore',
    object: readonly Requirement[],
    namespace: readonly Requirement[],
  ): WebhookDeclaration => ({
    name,
    kind: 'mutating',
    path: webhookPaths.mutatePod[0],
    rules: [create],
    failurePolicy,
    objectSelector: { matchExpressions: [...object] },
    namespaceSelector: { matchExpressions: [...elsewhere, ...namespace] },
  })
  const names = ['eci', 'acs', 'legacy']
  return [
    // First: selectors are asked about the pod as it is by then, and a label that a later entry of ours sets
    // must not look like one that the author wrote.
    entry('labelled.mpod.kb.io', 'Fail', [{ key: podLabel, operator: 'Exists' }], []),
    entry(
      'mpod.kb.io',
      'Ignore',
      [unlabelled, ...noPodRoute],
      namespaceRoutes.map(([key, value]) => isNot(key, value)),
    ),
    ...podRoutes.map(([key, value], i) =>
      entry(`${names[i]}.mpod.kb.io`, 'Fail', [unlabelled, is(key, value), ...noPodRoute.slice(0, i)], []),
    ),
    ...namespaceRoutes.map(([key, value], i) =>
      entry(
        `${names[i]}-namespace.mpod.kb.io`,
        'Fail',
        [unlabelled, ...noPodRoute],
        [
          is(key, value),
          ...namespaceRoutes.slice(0, i).map(([other, otherValue]) => isNot(other, otherValue)),
        ],
      ),
    ),
  ]
}

function ownResources(): WebhookDeclaration[] {
  const sidecarSets: RuleWithOperations = {
    apiGroups: ['apps.kruise.io'],
    apiVersions: ['v1alpha1', 'v1beta1'],
    operations: ['CREATE', 'UPDATE'],
    resources: ['sidecarsets'],
    scope: 'Cluster',
  }
  const declare = (
    name: string,
    kind: WebhookDeclaration['kind'],
    path: string,
    rule: RuleWithOperations,
  ): WebhookDeclaration => ({ name, kind, path, rules: [rule], failurePolicy: 'Fail' })
  return [
    declare('msidecarset.kb.io', 'mutating', webhookPaths.mutateSidecarSet[0], sidecarSets),
    declare('vsidecarset.kb.io', 'validating', webhookPaths.validateSidecarSet[0], sidecarSets),
    declare('vsidecarsetresourcebinding.kb.io', 'validating', webhookPaths.validateBinding[0], {
      apiGroups: ['sidecarset.alibabacloud.com'],
      apiVersions: ['v1alpha1'],
      operations: ['CREATE', 'UPDATE'],
      resources: ['sidecarsetresourcebindings'],
      scope: 'Namespaced',
    }),
  ]
}
