import type { JSONSchemaProps } from '@outrigger/kube'

const text: JSONSchemaProps = { type: 'string' }
const flag: JSONSchemaProps = { type: 'boolean' }
const int32: JSONSchemaProps = { type: 'integer', format: 'int32' }
const int64: JSONSchemaProps = { type: 'integer', format: 'int64' }
const texts: JSONSchemaProps = { type: 'array', items: text }
const textMap: JSONSchemaProps = { type: 'object', additionalProperties: text }
const intOrString: JSONSchemaProps = {
  anyOf: [{ type: 'integer' }, { type: 'string' }],
  'x-kubernetes-int-or-string': true,
}

function object(properties: Record<string, JSONSchemaProps>, required?: string[]): JSONSchemaProps {
  return { type: 'object', properties, ...(required && { required }) }
}

const listOf = (items: JSONSchemaProps): JSONSchemaProps => ({ type: 'array', items })

const labelSelector: JSONSchemaProps = {
  ...object({
    matchLabels: textMap,
    matchExpressions: {
      ...listOf(
        object({ key: text, operator: text, values: { ...texts, 'x-kubernetes-list-type': 'atomic' } }, [
          'key',
          'operator',
        ]),
      ),
      'x-kubernetes-list-type': 'atomic',
    },
  }),
  'x-kubernetes-map-type': 'atomic',
}

const fieldRef: JSONSchemaProps = {
  ...object({ apiVersion: text, fieldPath: text }, ['fieldPath']),
  'x-kubernetes-map-type': 'atomic',
}
const sharePolicy = object({ type: text })
const expressions = object({ cpu: text, memory: text })

/** Only the fields OpenKruise adds to a container are declared; those of a core container pass as they are. */
const sidecarContainer: JSONSchemaProps = {
  ...object({
    podInjectPolicy: text,
    upgradeStrategy: object({ upgradeType: text, hotUpgradeEmptyImage: text }),
    shareVolumePolicy: sharePolicy,
    shareVolumeDevicePolicy: sharePolicy,
    transferEnv: listOf(
      object({
        sourceContainerName: text,
        sourceContainerNameFrom: object({ fieldRef }),
        envName: text,
        envNames: texts,
      }),
    ),
    resourcesPolicy: object(
      {
        targetContainersMode: { type: 'string', enum: ['sum', 'max'] },
        targetContainersNameRegex: { type: 'string', default: '.*' },
        resourcesExpr: object({ limits: expressions, requests: expressions }),
      },
      ['resourcesExpr', 'targetContainersMode'],
    ),
  }),
  'x-kubernetes-preserve-unknown-fields': true,
}

const updateStrategy = object({
  type: text,
  paused: flag,
  selector: labelSelector,
  partition: intOrString,
  maxUnavailable: intOrString,
  priorityStrategy: object({
    orderPriority: listOf(object({ orderedKey: text }, ['orderedKey'])),
    weightPriority: listOf(
      object({ weight: int32, matchSelector: labelSelector }, ['weight', 'matchSelector']),
    ),
  }),
  scatterStrategy: listOf(object({ key: text, value: text }, ['key', 'value'])),
})

const injectionStrategy = object({
  paused: flag,
  revision: object({
    customVersion: text,
    revisionName: text,
    policy: { type: 'string', enum: ['Always', 'Partial'], default: 'Always' },
  }),
})

const specProperties: Record<string, JSONSchemaProps> = {
  selector: labelSelector,
  namespaceSelector: labelSelector,
  initContainers: listOf(sidecarContainer),
  containers: listOf(sidecarContainer),
  // No schema at all: `namespace/name` is as welcome here as volume kinds of the future.
  volumes: { 'x-kubernetes-preserve-unknown-fields': true },
  updateStrategy,
  injectionStrategy,
  imagePullSecrets: listOf({
    ...object({ name: { type: 'string', default: '' } }),
    'x-kubernetes-map-type': 'atomic',
  }),
  revisionHistoryLimit: int32,
  patchPodMetadata: listOf(object({ annotations: textMap, patchPolicy: text })),
  // Spellings of the first releases; admission turns them into updateStrategy, with a warning.
  paused: flag,
  strategy: object({ rollingUpdate: object({ maxUnavailable: intOrString }) }),
}

const sidecarSetStatus = object(
  {
    observedGeneration: int64,
    matchedPods: int32,
    updatedPods: int32,
    readyPods: int32,
    updatedReadyPods: int32,
    latestRevision: text,
    collisionCount: int32,
    conditions: {
      ...listOf(
        object(
          {
            type: text,
            status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
            reason: text,
            message: text,
            lastTransitionTime: { type: 'string', format: 'date-time' },
          },
          ['type', 'status'],
        ),
      ),
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['type'],
    },
  },
  ['matchedPods', 'readyPods', 'updatedPods'],
)

function root(description: string, spec: JSONSchemaProps, status: JSONSchemaProps): JSONSchemaProps {
  return {
    ...object({ apiVersion: text, kind: text, metadata: { type: 'object' }, spec, status }),
    description,
  }
}

/** The schema of a SidecarSet in one version; `union` accepts the fields of both. */
export function sidecarSetSchema(version: 'v1alpha1' | 'v1beta1' | 'union'): JSONSchemaProps {
  const spec = object({
    ...specProperties,
    ...(version !== 'v1beta1' && { namespace: text }),
    ...(version !== 'v1alpha1' && { customVersion: text }),
  })
  return root('The containers every matching pod gets.', spec, sidecarSetStatus)
}

const name: JSONSchemaProps = { type: 'string', minLength: 1, maxLength: 253 }

/** The schema of a SidecarSetResourceBinding. */
export const bindingSchema: JSONSchemaProps = {
  ...root(
    'Lets pods read objects of this namespace through the volumes of named SidecarSets.',
    object(
      {
        subjects: {
          ...listOf(object({ kind: { type: 'string', enum: ['SidecarSet'] }, name }, ['kind', 'name'])),
          maxItems: 256,
        },
        resourceRefs: {
          ...listOf(
            object({ kind: { type: 'string', enum: ['ConfigMap', 'Secret'] }, name }, ['kind', 'name']),
          ),
          maxItems: 256,
        },
      },
      ['subjects', 'resourceRefs'],
    ),
    object({
      observedGeneration: int64,
      conditions: {
        ...listOf(
          object(
            {
              type: text,
              status: { type: 'string', enum: ['True', 'False', 'Unknown'] },
              reason: text,
              message: text,
              lastTransitionTime: { type: 'string', format: 'date-time' },
              observedGeneration: int64,
            },
            ['type', 'status'],
          ),
        ),
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['type'],
      },
      resolvedRefs: texts,
      missingRefs: texts,
      subjects: listOf(object({ name: text, uid: text }, ['name', 'uid'])),
    }),
  ),
  required: ['spec'],
}
