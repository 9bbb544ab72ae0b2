import type { KubeObject } from '@outrigger/kube'

/**
 * Up to 1.8 the chart of OpenKruise knows SidecarSets in v1alpha1 only. From 1.9 on it stores v1beta1, and kruise-manager
 * converts between the two.
 */
export type KruiseRelease = '1.8' | '1.9'

export const webhookService = { namespace: 'kruise-system', name: 'kruise-webhook-service' } as const

const text = { type: 'string' } as const
const number = { type: 'integer', format: 'int32' } as const
const flag = { type: 'boolean' } as const
const open = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } as const
const amount = {
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  'x-kubernetes-int-or-string': true,
} as const
const record = (properties: object, required?: readonly string[]) => ({
  type: 'object',
  properties,
  ...(required && { required }),
})
const list = (items: object) => ({ type: 'array', items })
const selector = record({
  matchLabels: { type: 'object', additionalProperties: text },
  matchExpressions: list(record({ key: text, operator: text, values: list(text) }, ['key', 'operator'])),
})

/** What the definition of SidecarSets declares; everything else in a SidecarSet is pruned. */
function sidecarSetSchema(version: 'v1alpha1' | 'v1beta1') {
  return record({
    apiVersion: text,
    kind: text,
    metadata: { type: 'object' },
    spec: record({
      selector,
      namespaceSelector: selector,
      ...(version === 'v1alpha1' ? { namespace: text } : { customVersion: text }),
      initContainers: list(open),
      containers: list(open),
      volumes: { 'x-kubernetes-preserve-unknown-fields': true },
      imagePullSecrets: list(record({ name: text })),
      revisionHistoryLimit: number,
      patchPodMetadata: list(
        record({ annotations: { type: 'object', additionalProperties: text }, patchPolicy: text }),
      ),
      injectionStrategy: record({
        paused: flag,
        revision: record({ customVersion: text, revisionName: text, policy: text }),
      }),
      updateStrategy: record({
        type: text,
        paused: flag,
        selector,
        partition: amount,
        maxUnavailable: amount,
        priorityStrategy: open,
        scatterStrategy: list(record({ key: text, value: text }, ['key', 'value'])),
      }),
    }),
    status: record(
      {
        observedGeneration: { type: 'integer', format: 'int64' },
        matchedPods: number,
        updatedPods: number,
        readyPods: number,
        updatedReadyPods: number,
        latestRevision: text,
        collisionCount: number,
      },
      ['matchedPods', 'updatedPods', 'readyPods'],
    ),
  })
}

function version(name: 'v1alpha1' | 'v1beta1', storage: boolean) {
  const column = (title: string, field: string) => ({
    name: title,
    type: 'integer',
    jsonPath: `.status.${field}`,
  })
  return {
    name,
    served: true,
    storage,
    schema: { openAPIV3Schema: sidecarSetSchema(name) },
    subresources: { status: {} },
    additionalPrinterColumns: [
      column('MATCHED', 'matchedPods'),
      column('UPDATED', 'updatedPods'),
      column('READY', 'readyPods'),
      { name: 'AGE', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
  }
}

/** The definition of SidecarSets as the chart of this release applies it. `bundle` is what kruise-manager adds to it. */
export function kruiseSidecarSetDefinition(release: KruiseRelease, bundle = ''): KubeObject {
  const conversion = {
    strategy: 'Webhook',
    webhook: {
      clientConfig: {
        service: { ...webhookService, path: '/convert', port: 443 },
        ...(bundle !== '' && { caBundle: bundle }),
      },
      conversionReviewVersions: ['v1', 'v1beta1'],
    },
  }
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: 'sidecarsets.apps.kruise.io',
      labels: { 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: {
        'controller-gen.kubebuilder.io/version': 'v0.17.3',
        'meta.helm.sh/release-name': 'kruise',
        'meta.helm.sh/release-namespace': 'default',
      },
    },
    spec: {
      group: 'apps.kruise.io',
      names: {
        kind: 'SidecarSet',
        listKind: 'SidecarSetList',
        plural: 'sidecarsets',
        singular: 'sidecarset',
      },
      scope: 'Cluster',
      versions:
        release === '1.8'
          ? [version('v1alpha1', true)]
          : [version('v1alpha1', false), version('v1beta1', true)],
      ...(release === '1.9' && { conversion }),
    },
  } as KubeObject
}

/** Another kind of OpenKruise, of which Outrigger knows nothing. */
export function kruiseCloneSetDefinition(): KubeObject {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'clonesets.apps.kruise.io', labels: { 'app.kubernetes.io/managed-by': 'Helm' } },
    spec: {
      group: 'apps.kruise.io',
      names: {
        kind: 'CloneSet',
        listKind: 'CloneSetList',
        plural: 'clonesets',
        singular: 'cloneset',
        shortNames: ['clone'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: 'v1alpha1',
          served: true,
          storage: true,
          schema: {
            openAPIV3Schema: record({
              apiVersion: text,
              kind: text,
              metadata: { type: 'object' },
              spec: open,
              status: open,
            }),
          },
          subresources: {
            status: {},
            scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' },
          },
        },
      ],
    },
  } as KubeObject
}

interface WebhookEntry {
  readonly name: string
  readonly path: string
  readonly resources: readonly string[]
  readonly operations: readonly string[]
  readonly group?: string
  readonly versions?: readonly string[]
  readonly ignored?: boolean
}

const sets = { group: 'apps.kruise.io', operations: ['CREATE', 'UPDATE'] } as const
const mutating = (release: KruiseRelease): WebhookEntry[] => [
  { name: 'mpod.kb.io', path: '/mutate-pod', resources: ['pods'], operations: ['CREATE'] },
  {
    ...sets,
    name: 'mcloneset.kb.io',
    path: '/mutate-apps-kruise-io-v1alpha1-cloneset',
    resources: ['clonesets'],
    versions: ['v1alpha1'],
  },
  {
    ...sets,
    name: 'msidecarset.kb.io',
    path:
      release === '1.8' ? '/mutate-apps-kruise-io-v1alpha1-sidecarset' : '/mutate-apps-kruise-io-sidecarset',
    resources: ['sidecarsets'],
    versions: release === '1.8' ? ['v1alpha1'] : ['v1alpha1', 'v1beta1'],
  },
]
const validating = (release: KruiseRelease): WebhookEntry[] => [
  {
    name: 'vpod.kb.io',
    path: '/validate-pod',
    resources: ['pods', 'pods/eviction'],
    operations: ['CREATE', 'UPDATE', 'DELETE'],
  },
  {
    ...sets,
    name: 'vcloneset.kb.io',
    path: '/validate-apps-kruise-io-v1alpha1-cloneset',
    resources: ['clonesets'],
    versions: ['v1alpha1'],
  },
  {
    ...sets,
    name: 'vsidecarset.kb.io',
    path:
      release === '1.8'
        ? '/validate-apps-kruise-io-v1alpha1-sidecarset'
        : '/validate-apps-kruise-io-sidecarset',
    resources: ['sidecarsets'],
    versions: release === '1.8' ? ['v1alpha1'] : ['v1alpha1', 'v1beta1'],
  },
  {
    name: 'vnamespace.kb.io',
    path: '/validate-namespace',
    resources: ['namespaces'],
    operations: ['DELETE'],
    ignored: true,
  },
]

/**
 * Both webhook configurations as kruise-manager leaves them: pointing at its Service, with its bundle, and with the
 * chart's own list in the annotation `template`, from which it restores them.
 */
export function kruiseWebhooks(release: KruiseRelease, bundle: string): [KubeObject, KubeObject] {
  return [
    configuration(
      'MutatingWebhookConfiguration',
      'kruise-mutating-webhook-configuration',
      mutating(release),
      bundle,
    ),
    configuration(
      'ValidatingWebhookConfiguration',
      'kruise-validating-webhook-configuration',
      validating(release),
      bundle,
    ),
  ]
}

function configuration(
  kind: string,
  name: string,
  entries: readonly WebhookEntry[],
  bundle: string,
): KubeObject {
  const webhooks = (own: object) =>
    entries.map(({ name: title, path, resources, operations, group = '', versions = ['v1'], ignored }) => ({
      name: title,
      clientConfig: { service: { ...webhookService, path }, ...own },
      rules: [
        {
          apiGroups: [group],
          apiVersions: [...versions],
          operations: [...operations],
          resources: [...resources],
        },
      ],
      failurePolicy: ignored ? 'Ignore' : 'Fail',
      sideEffects: 'None',
      admissionReviewVersions: ['v1', 'v1beta1'],
      timeoutSeconds: 30,
      ...(group === '' && {
        namespaceSelector: {
          matchExpressions: [
            { key: 'control-plane', operator: 'NotIn', values: ['openkruise'] },
            { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['kube-system'] },
          ],
        },
      }),
      ...(ignored && {
        objectSelector: {
          matchExpressions: [{ key: 'policy.kruise.io/delete-protection', operator: 'Exists' }],
        },
      }),
    }))
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: {
      name,
      labels: { 'app.kubernetes.io/managed-by': 'Helm' },
      annotations: { template: JSON.stringify(webhooks({})), 'meta.helm.sh/release-name': 'kruise' },
    },
    webhooks: webhooks({ caBundle: bundle }),
  } as KubeObject
}
