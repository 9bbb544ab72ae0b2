import type { Schema } from '@outrigger/kube'
import { canonicalQuantity } from './amounts.ts'

/**
 * Kubernetes decodes into Go structs and encodes them again, and clients can see it: `hostNetwork: false`
 * disappears, `resources` appears, `cpu: 0.5` becomes `500m`. These tables say what the OpenAPI document does
 * not: which optional scalars are no pointers (their zero is dropped) and which fields are always written.
 */
const droppedWhenFalse = new Set([
  'chapAuthDiscovery',
  'chapAuthSession',
  'globalDefault',
  'hostIPC',
  'hostNetwork',
  'hostPID',
  'paused',
  'publishNotReadyAddresses',
  'readOnly',
  'sslEnabled',
  'stdin',
  'stdinOnce',
  'tty',
  'unschedulable',
])

const droppedWhenZero = new Set([
  'active',
  'availableReplicas',
  'count',
  'currentReplicas',
  'deprecatedCount',
  'failed',
  'failureThreshold',
  'fullyLabeledReplicas',
  'generation',
  'healthCheckNodePort',
  'hostPort',
  'initialDelaySeconds',
  'minReadySeconds',
  'nodePort',
  'number',
  'numberAvailable',
  'numberUnavailable',
  'observedGeneration',
  'periodSeconds',
  'readyReplicas',
  'signal',
  'sizeBytes',
  'start',
  'succeeded',
  'successThreshold',
  'unavailableReplicas',
  'updatedNumberScheduled',
  'updatedReplicas',
])

/** Fields of `droppedWhenZero` and `droppedWhenFalse` that are pointers in one definition, and the reverse. */
const keptZeros = new Set([
  'CSIVolumeSource.readOnly',
  'HorizontalPodAutoscalerStatus.observedGeneration',
  'StatefulSetStatus.availableReplicas',
])
const alsoDropped = new Set([
  'DeploymentStatus.replicas',
  'Probe.timeoutSeconds',
  'ScaleSpec.replicas',
  'AWSElasticBlockStoreVolumeSource.partition',
  'GCEPersistentDiskVolumeSource.partition',
])

/** Optional strings that are pointers: an empty one is not the same as none. */
const keptEmptyStrings = new Set([
  'EndpointPort.name',
  'EndpointPort.appProtocol',
  'DaemonSetUpdateStrategy.type',
  'GRPCAction.service',
  'HostPathVolumeSource.type',
  'HTTPIngressPath.pathType',
  'IngressSpec.ingressClassName',
  'IngressClassParametersReference.apiGroup',
  'LeaseSpec.holderIdentity',
  'PersistentVolumeClaimSpec.storageClassName',
  'PersistentVolumeClaimSpec.volumeAttributesClassName',
  'PersistentVolumeSpec.volumeAttributesClassName',
  'PersistentVolumeClaimStatus.currentVolumeAttributesClassName',
  'PodDNSConfigOption.value',
  'ServicePort.appProtocol',
  'TypedLocalObjectReference.apiGroup',
  'TypedObjectReference.apiGroup',
])

type Zero = () => unknown
const nothing: Zero = () => ({})
const noTime: Zero = () => null
const empty: Zero = () => ''

/** What Go writes for a field nobody set: structs without pointers, times and the few scalars without omitempty. */
const alwaysWritten: Readonly<Record<string, Readonly<Record<string, Zero>>>> = {
  Container: { resources: nothing },
  EphemeralContainer: { resources: nothing },
  ContainerStatus: { state: nothing, lastState: nothing },
  ContainerStateRunning: { startedAt: noTime },
  ContainerStateTerminated: { startedAt: noTime, finishedAt: noTime },
  PodCondition: { lastProbeTime: noTime, lastTransitionTime: noTime },
  NodeCondition: { lastHeartbeatTime: noTime, lastTransitionTime: noTime },
  NodeStatus: { daemonEndpoints: nothing, nodeInfo: nothing },
  NodeDaemonEndpoints: { kubeletEndpoint: nothing },
  DeploymentCondition: { lastUpdateTime: noTime, lastTransitionTime: noTime },
  ReplicaSetCondition: { lastTransitionTime: noTime },
  StatefulSetCondition: { lastTransitionTime: noTime },
  StatefulSetStatus: { availableReplicas: () => 0 },
  DaemonSetCondition: { lastTransitionTime: noTime },
  ReplicationControllerCondition: { lastTransitionTime: noTime },
  JobCondition: { lastProbeTime: noTime, lastTransitionTime: noTime },
  HorizontalPodAutoscalerCondition: { lastTransitionTime: noTime },
  PersistentVolumeClaimCondition: { lastProbeTime: noTime, lastTransitionTime: noTime },
  CertificateSigningRequestCondition: { lastUpdateTime: noTime, lastTransitionTime: noTime },
  DeploymentSpec: { strategy: nothing },
  DaemonSetSpec: { updateStrategy: nothing },
  StatefulSetSpec: { updateStrategy: nothing, serviceName: empty },
  PodTemplateSpec: { metadata: nothing, spec: nothing },
  PodTemplate: { template: nothing },
  JobTemplateSpec: { metadata: nothing, spec: nothing },
  PersistentVolumeClaimTemplate: { metadata: nothing },
  PersistentVolumeClaimSpec: { resources: nothing },
  ServiceStatus: { loadBalancer: nothing },
  IngressStatus: { loadBalancer: nothing },
  IngressServiceBackend: { port: nothing },
  NetworkPolicySpec: { podSelector: nothing },
  HorizontalPodAutoscalerStatus: {},
  PodDisruptionBudgetStatus: {
    disruptionsAllowed: () => 0,
    currentHealthy: () => 0,
    desiredHealthy: () => 0,
    expectedPods: () => 0,
  },
  PriorityClass: { value: () => 0 },
  ResourceFieldSelector: { divisor: () => '0' },
  Role: { rules: () => null },
  ClusterRole: { rules: () => null },
}

/** Required structs that are pointers in Go: a missing one stays missing, and validation says so. */
const requiredPointers = new Set([
  'DaemonSetSpec.selector',
  'DeploymentSpec.selector',
  'ReplicaSetSpec.selector',
  'StatefulSetSpec.selector',
  'MutatingWebhook.sideEffects',
  'ValidatingWebhook.sideEffects',
])

/** Kinds whose `spec` and `status` are pointers or absent in Go and therefore are not written when empty. */
const withoutEmptyStatus = new Set(['Lease', 'NetworkPolicy'])

/** Overrides of `alwaysWritten` where two groups use one name for different types. */
const alwaysWrittenFully: Readonly<Record<string, Readonly<Record<string, Zero>>>> = {
  'io.k8s.api.core.v1.Event': {
    source: nothing,
    firstTimestamp: noTime,
    lastTimestamp: noTime,
    eventTime: noTime,
    reportingComponent: empty,
    reportingInstance: empty,
  },
  'io.k8s.api.events.v1.Event': {
    eventTime: noTime,
    deprecatedSource: nothing,
    deprecatedFirstTimestamp: noTime,
    deprecatedLastTimestamp: noTime,
  },
  'io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerStatus': { currentMetrics: () => null },
}

/** Rewrites a value in place; the answer is the value to keep, or `undefined` to drop the field. */
type Shaper = (value: unknown) => unknown

interface ObjectShape {
  readonly fields: ReadonlyMap<string, Shaper>
  readonly missing: readonly { readonly field: string; readonly zero: Zero; readonly shape: Shaper }[]
  /** Times without omitempty: null is what is written for none. */
  readonly nullable: ReadonlySet<string>
}

const shapers = new WeakMap<Schema, Shaper>()

/**
 * Brings `object` into the form kube-apiserver would answer with: nulls and empty optional values dropped,
 * quantities and times canonical, always-written fields present. Works in place, writes only what differs
 * (so frozen parts that are already in shape are fine), and is idempotent.
 */
export function shapeForWire(schema: Schema, object: object): void {
  shaperOf(schema)(object)
}

function shaperOf(schema: Schema): Shaper {
  const known = shapers.get(schema)
  if (known !== undefined) return known
  // Recursive schemas reach themselves before they are built.
  let built: Shaper | undefined
  shapers.set(schema, (value) => built?.(value))
  built = buildShaper(schema)
  shapers.set(schema, built)
  return built
}

const keep: Shaper = (value) => value

function buildShaper(schema: Schema): Shaper {
  if (isQuantity(schema)) return canonicalQuantity
  switch (schema.type) {
    case 'string':
      return schema.format === 'date-time' && !schema.definition?.endsWith('MicroTime') ? wholeSeconds : keep
    case 'array':
      return schema.items === undefined ? keep : arrayShaper(schema.items)
    case 'object':
      if (schema.properties !== undefined) return objectShaper(schema)
      return schema.values === undefined ? keep : mapShaper(schema.values)
    default:
      return keep
  }
}

function isQuantity(schema: Schema): boolean {
  return schema.format === 'quantity' || schema.definition?.endsWith('.Quantity') === true
}

/** `2026-01-02T03:04:05.6+01:00` as metav1.Time writes it; what is no time stays for the decoder to refuse. */
function wholeSeconds(value: unknown): unknown {
  if (typeof value !== 'string' || (value.length === 20 && value.endsWith('Z'))) return value
  const time = Date.parse(value)
  return Number.isNaN(time) ? value : `${new Date(time).toISOString().slice(0, 19)}Z`
}

function arrayShaper(items: Schema): Shaper {
  const shape = lazyShaper(items)
  if (shape === undefined) return keep
  return (value) => {
    if (!Array.isArray(value)) return value
    for (let index = 0; index < value.length; index++) {
      const before: unknown = value[index]
      if (before === null) continue
      const after = shape(before)
      if (after !== before) value[index] = after
    }
    return value
  }
}

function mapShaper(values: Schema): Shaper {
  const shape = lazyShaper(values)
  if (shape === undefined) return keep
  return (value) => {
    if (typeof value !== 'object' || value === null) return value
    const map = value as Record<string, unknown>
    for (const key in map) {
      const before = map[key]
      if (before === null) continue
      const after = shape(before)
      if (after !== before) map[key] = after
    }
    return value
  }
}

/** A shaper looked up on first use (schemas may be recursive), or undefined when there is nothing to do. */
function lazyShaper(schema: Schema): Shaper | undefined {
  if (schema.type !== 'object' && schema.type !== 'array' && buildShaper(schema) === keep) return undefined
  let found: Shaper | undefined
  return (value) => {
    found ??= shaperOf(schema)
    return found(value)
  }
}

function objectShaper(schema: Schema): Shaper {
  let shape: ObjectShape | undefined
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    shape ??= objectShape(schema)
    const object = value as Record<string, unknown>
    for (const field in object) {
      const before = object[field]
      if (before === undefined) continue
      if (before === null) {
        if (!shape.nullable.has(field)) delete object[field]
        continue
      }
      const shaper = shape.fields.get(field)
      if (shaper === undefined) continue
      const after = shaper(before)
      if (after === undefined) delete object[field]
      else if (after !== before) object[field] = after
    }
    const { missing } = shape
    for (let index = 0; index < missing.length; index++) {
      const { field, zero, shape: shapeZero } = missing[index] as (typeof missing)[number]
      if (object[field] === undefined) object[field] = shapeZero(zero())
    }
    return value
  }
}

function objectShape(schema: Schema): ObjectShape {
  const properties = schema.properties ?? {}
  const definition = schema.definition ?? ''
  const short = definition.slice(definition.lastIndexOf('.') + 1)
  const required = new Set(schema.required ?? [])
  const always: Record<string, Zero> = { ...alwaysWritten[short], ...alwaysWrittenFully[definition] }
  if (
    properties.apiVersion !== undefined &&
    properties.metadata !== undefined &&
    !withoutEmptyStatus.has(short)
  ) {
    for (const field of ['spec', 'status'])
      if (properties[field]?.properties !== undefined) always[field] ??= nothing
  }
  if (short === 'Lease' || short === 'NetworkPolicy') always.spec = nothing
  for (const field of required)
    if (field in properties && !requiredPointers.has(`${short}.${field}`))
      always[field] ??= zeroOf(properties[field] as Schema)
  if (short === 'ObjectMeta' || short === 'LabelSelectorRequirement')
    for (const field of required) delete always[field]

  const fields = new Map<string, Shaper>()
  for (const [field, property] of Object.entries(properties)) {
    const shaper = fieldShaper(short, field, property, always[field])
    if (shaper !== keep) fields.set(field, shaper)
  }
  const missing = Object.entries(always).map(([field, zero]) => ({
    field,
    zero,
    shape: fields.get(field) ?? keep,
  }))
  const nullable = new Set(
    Object.entries(always)
      .filter(([, zero]) => zero() === null)
      .map(([field]) => field),
  )
  return { fields, missing, nullable }
}

/** What Go writes for a field of this shape without omitempty. */
function zeroOf(schema: Schema): Zero {
  switch (schema.type) {
    case 'string':
      return schema.format === 'date-time' ? noTime : empty
    case 'integer':
    case 'number':
    case 'int-or-string':
      return () => 0
    case 'boolean':
      return () => false
    case 'object':
      return schema.properties === undefined ? () => null : nothing
    default:
      return () => null
  }
}

function fieldShaper(short: string, field: string, schema: Schema, always: Zero | undefined): Shaper {
  const inner = lazyShaper(schema) ?? keep
  const name = `${short}.${field}`
  switch (schema.type) {
    case 'string':
      if (always !== undefined || keptEmptyStrings.has(name) || isQuantity(schema)) return inner
      return inner === keep ? dropEmpty : (value) => (value === '' ? undefined : inner(value))
    case 'boolean':
      return always === undefined && droppedWhenFalse.has(field) && !keptZeros.has(name) ? dropFalse : keep
    case 'integer':
    case 'number': {
      const drops = alsoDropped.has(name) || (droppedWhenZero.has(field) && !keptZeros.has(name))
      return always === undefined && drops ? dropZero : keep
    }
    case 'array':
      // Protobuf in etcd does not tell an empty list from none, so `rules: []` reads back as null.
      return (value) => (Array.isArray(value) && value.length === 0 ? always?.() : inner(value))
    case 'object':
      if (schema.properties !== undefined || schema.values === undefined) return inner
      return (value) => (isEmptyObject(value) ? always?.() : inner(value))
    default:
      return inner
  }
}

const dropEmpty: Shaper = (value) => (value === '' ? undefined : value)
const dropFalse: Shaper = (value) => (value === false ? undefined : value)
const dropZero: Shaper = (value) => (value === 0 ? undefined : value)

function isEmptyObject(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  for (const _ in value) return false
  return true
}
