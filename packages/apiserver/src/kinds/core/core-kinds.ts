import {
  type Endpoints,
  invalid,
  type LimitRange,
  type LimitRangeItem,
  type PodTemplate,
  type ReplicationController,
  type ResourceQuota,
  required,
} from '@outrigger/kube'
import { nanosOf } from '../amounts.ts'
import { replicaSetStatusErrors } from '../apps/apps-kinds.ts'
import { checkNotNegative, checkPort, type Errors, notSupported } from '../field-checks.ts'
import { type KindBuilder, type KindBuilders, selectableOf } from '../kind-definition.ts'
import { applyTemplateDefaults } from '../pods/pod-defaults.ts'
import { isIp } from '../pods/pod-spec-rules.ts'
import { checkLastingTemplate, checkTemplate, templateWarnings } from '../pods/template-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'
import { componentStatusKind } from './component-status.ts'
import { configMapKind, secretKind } from './config.ts'
import { coreEventKind } from './event.ts'
import { namespaceKind } from './namespace.ts'
import { nodeKind } from './node.ts'
import { serviceKind } from './service.ts'
import { persistentVolumeClaimKind, persistentVolumeKind } from './storage.ts'

const podTemplateKind: KindBuilder = (schema) => ({
  strategy: createStrategy<PodTemplate>({
    schema,
    tracksGeneration: true,
    generationFields: ['template'],
    applyDefaults: ({ template }) => applyTemplateDefaults(template),
    validate({ template }) {
      const errors: Errors = []
      checkTemplate(errors, 'template', template)
      return errors
    },
    warnings: ({ template }) => templateWarnings('template', template),
  }),
})

const replicationControllerKind: KindBuilder = (schema) => {
  const strategy = createStrategy<ReplicationController>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    defaultPropagation: 'orphan',
    initialStatus: () => ({ replicas: 0 }),
    applyDefaults(controller) {
      const { spec } = controller
      if (spec === undefined) return
      const labels = spec.template?.metadata?.labels
      if (labels !== undefined) {
        if (Object.keys(spec.selector ?? {}).length === 0) spec.selector = { ...labels }
        if (Object.keys(controller.metadata.labels ?? {}).length === 0)
          controller.metadata.labels = { ...labels }
      }
      spec.replicas ??= 1
      applyTemplateDefaults(spec.template)
    },
    validate({ spec }) {
      const errors: Errors = []
      checkNotNegative(errors, 'spec.minReadySeconds', spec?.minReadySeconds)
      if (Object.keys(spec?.selector ?? {}).length === 0) errors.push(required('spec.selector'))
      checkNotNegative(errors, 'spec.replicas', spec?.replicas)
      checkLastingTemplate(errors, 'spec.template', spec?.template, { matchLabels: spec?.selector ?? {} })
      return errors
    },
    warnings: ({ spec }) => templateWarnings('spec.template', spec?.template),
  })
  return {
    strategy,
    status: createStatusStrategy<ReplicationController>(strategy, {
      validate: (controller) =>
        replicaSetStatusErrors(controller as Parameters<typeof replicaSetStatusErrors>[0]),
    }),
    selectable: selectableOf<ReplicationController>({
      'status.replicas': ({ status }) => String(status?.replicas ?? 0),
    }),
  }
}

const endpointsKind: KindBuilder = (schema) => ({
  strategy: createStrategy<Endpoints>({
    schema,
    createsOnUpdate: true,
    applyDefaults({ subsets }) {
      for (const { ports } of subsets ?? []) for (const port of ports ?? []) port.protocol ??= 'TCP'
    },
    validate({ subsets }) {
      const errors: Errors = []
      subsets?.forEach((subset, index) => {
        const at = `subsets[${index}]`
        const { addresses = [], notReadyAddresses = [], ports = [] } = subset
        if (addresses.length === 0 && notReadyAddresses.length === 0)
          errors.push(required(at, 'must specify `addresses` or `notReadyAddresses`'))
        addresses.forEach(({ ip }, number) => {
          if (!isIp(ip ?? ''))
            errors.push(
              invalid(
                `${at}.addresses[${number}].ip`,
                ip ?? '',
                'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
              ),
            )
        })
        ports.forEach((port, number) => {
          if (ports.length > 1 && !port.name) errors.push(required(`${at}.ports[${number}].name`))
          checkPort(errors, `${at}.ports[${number}].port`, port.port ?? 0)
        })
      })
      return errors
    },
  }),
  deprecationWarning: 'v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice',
})

type Amounts = LimitRangeItem['max']

/** Takes over what `field` lacks; writes nothing when it lacks nothing. */
function complete(item: LimitRangeItem, field: 'default' | 'defaultRequest', source: Amounts): void {
  for (const name in source) {
    if (item[field]?.[name] !== undefined) continue
    item[field] = { ...source, ...item[field] }
    return
  }
}

const limitTypes = ['Container', 'PersistentVolumeClaim', 'Pod']

const limitRangeKind: KindBuilder = (schema) => ({
  strategy: createStrategy<LimitRange>({
    schema,
    createsOnUpdate: true,
    applyDefaults({ spec }) {
      for (const item of spec?.limits ?? []) {
        if (item.type !== 'Container') continue
        // A limit that is not given is the maximum; a request that is not given the limit, or the minimum.
        complete(item, 'default', item.max)
        complete(item, 'defaultRequest', item.default)
        complete(item, 'defaultRequest', item.min)
      }
    },
    validate: limitRangeErrors,
  }),
})

function limitRangeErrors({ spec }: LimitRange): Errors {
  const errors: Errors = []
  const seen = new Set<string>()
  spec?.limits?.forEach((item, index) => {
    const at = `spec.limits[${index}]`
    if (!item.type) errors.push(required(`${at}.type`))
    else if (!limitTypes.includes(item.type) && !item.type.includes('/'))
      errors.push(notSupported(`${at}.type`, item.type, limitTypes))
    if (seen.has(item.type))
      errors.push({ type: 'duplicate', field: `${at}.type`, value: item.type, detail: '' })
    seen.add(item.type)
    for (const name in item.min) {
      const max = item.max?.[name]
      if (max !== undefined && nanosOf(item.min[name]) > nanosOf(max))
        errors.push(
          invalid(
            `${at}.min[${name}]`,
            item.min[name],
            `min value ${item.min[name]} is greater than max value ${max}`,
          ),
        )
    }
    for (const field of ['default', 'defaultRequest'] as const)
      for (const name in item[field]) {
        const amount = item[field][name]
        const max = item.max?.[name]
        const min = item.min?.[name]
        const word = field === 'default' ? 'default' : 'default request'
        if (max !== undefined && nanosOf(amount) > nanosOf(max))
          errors.push(
            invalid(
              `${at}.${field}[${name}]`,
              amount,
              `${word} value ${amount} is greater than max value ${max}`,
            ),
          )
        if (min !== undefined && nanosOf(amount) < nanosOf(min))
          errors.push(
            invalid(
              `${at}.${field}[${name}]`,
              min,
              `min value ${min} is greater than ${word} value ${amount}`,
            ),
          )
      }
  })
  return errors
}

const quotaKind: KindBuilder = (schema) => {
  const strategy = createStrategy<ResourceQuota>({
    schema,
    validate({ spec }) {
      const errors: Errors = []
      for (const name in spec?.hard)
        if (nanosOf(spec.hard[name]) < 0n)
          errors.push(invalid(`spec.hard[${name}]`, spec.hard[name], 'must be greater than or equal to 0'))
      return errors
    },
  })
  return { strategy, status: createStatusStrategy<ResourceQuota>(strategy) }
}

/** Kinds of the core group except pods. */
export const coreKinds: KindBuilders = {
  'core/v1/componentstatuses': componentStatusKind,
  'core/v1/configmaps': configMapKind,
  'core/v1/endpoints': endpointsKind,
  'core/v1/events': coreEventKind,
  'core/v1/limitranges': limitRangeKind,
  'core/v1/namespaces': namespaceKind,
  'core/v1/nodes': nodeKind,
  'core/v1/persistentvolumeclaims': persistentVolumeClaimKind,
  'core/v1/persistentvolumes': persistentVolumeKind,
  'core/v1/podtemplates': podTemplateKind,
  'core/v1/replicationcontrollers': replicationControllerKind,
  'core/v1/resourcequotas': quotaKind,
  'core/v1/secrets': secretKind,
  'core/v1/services': serviceKind,
}
