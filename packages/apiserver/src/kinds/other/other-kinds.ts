import {
  type CertificateSigningRequest,
  deepEqual,
  forbidden,
  invalid,
  type KubeObject,
  type Lease,
  type PodDisruptionBudget,
  type PriorityClass,
  type RuntimeClass,
  required,
  type StorageClass,
} from '@outrigger/kube'
import { autoscalerV1Kind, autoscalerV2Kind } from '../autoscaling/horizontal-pod-autoscaler.ts'
import { eventsEventKind } from '../core/event.ts'
import {
  checkImmutable,
  checkIntOrPercent,
  checkLabelSelector,
  checkName,
  checkNotNegative,
  type Errors,
  notSupported,
  percentOf,
} from '../field-checks.ts'
import { type KindBuilder, type KindBuilders, selectableOf } from '../kind-definition.ts'
import { labelProblems, qualifiedNameProblems } from '../name-rules.ts'
import { networkingKinds } from '../networking/networking-kinds.ts'
import { rbacKinds } from '../rbac/rbac-kinds.ts'
import { createStatusStrategy, createStrategy, type KindRules, keepField } from '../strategy.ts'
import { webhookConfigurationKind } from './webhook-configurations.ts'

const leaseKind: KindBuilder = (schema) => ({
  strategy: createStrategy<Lease>({
    schema,
    createsOnUpdate: true,
    updatesUnconditionally: false,
    validate({ spec }) {
      const errors: Errors = []
      const seconds = spec?.leaseDurationSeconds
      if (seconds !== undefined && seconds <= 0)
        errors.push(invalid('spec.leaseDurationSeconds', seconds, 'must be greater than 0'))
      checkNotNegative(errors, 'spec.leaseTransitions', spec?.leaseTransitions)
      if (spec?.holderIdentity === '') errors.push(invalid('spec.holderIdentity', '', 'must not be empty'))
      return errors
    },
  }),
})

const disruptionBudgetKind: KindBuilder = (schema) => {
  const strategy = createStrategy<PodDisruptionBudget>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    updatesUnconditionally: false,
    validate({ spec }) {
      const errors: Errors = []
      const { minAvailable, maxUnavailable } = spec ?? {}
      if (minAvailable !== undefined && maxUnavailable !== undefined)
        errors.push(invalid('spec', spec, 'minAvailable and maxUnavailable cannot be both set'))
      for (const field of ['minAvailable', 'maxUnavailable'] as const) {
        checkIntOrPercent(errors, `spec.${field}`, spec?.[field])
        if ((percentOf(spec?.[field]) ?? 0) > 100)
          errors.push(invalid(`spec.${field}`, spec?.[field], 'must not be greater than 100%'))
      }
      const policy = spec?.unhealthyPodEvictionPolicy
      if (policy !== undefined && policy !== 'AlwaysAllow' && policy !== 'IfHealthyBudget')
        errors.push(
          notSupported('spec.unhealthyPodEvictionPolicy', policy, ['AlwaysAllow', 'IfHealthyBudget']),
        )
      checkLabelSelector(errors, 'spec.selector', spec?.selector)
      return errors
    },
  })
  return {
    strategy,
    status: createStatusStrategy<PodDisruptionBudget>(strategy, {
      validate({ status }) {
        const errors: Errors = []
        for (const field of [
          'disruptionsAllowed',
          'currentHealthy',
          'desiredHealthy',
          'expectedPods',
        ] as const)
          checkNotNegative(errors, `status.${field}`, status?.[field])
        return errors
      },
    }),
  }
}

const maxUserPriority = 1_000_000_000
const systemPriorities: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
}

const priorityClassKind: KindBuilder = (schema) => ({
  strategy: createStrategy<PriorityClass>({
    schema,
    tracksGeneration: true,
    applyDefaults(one) {
      one.preemptionPolicy ??= 'PreemptLowerPriority'
    },
    validate({ metadata, value = 0, preemptionPolicy }) {
      const errors: Errors = []
      const name = metadata.name ?? ''
      if (name.startsWith('system-')) {
        if (systemPriorities[name] !== value)
          errors.push(
            forbidden(
              'metadata.name',
              "priority class names with 'system-' prefix are reserved for system use only. error: ",
            ),
          )
      } else if (value > maxUserPriority)
        errors.push(
          forbidden('value', `maximum allowed value of a user defined priority is ${maxUserPriority}`),
        )
      if (preemptionPolicy !== 'PreemptLowerPriority' && preemptionPolicy !== 'Never')
        errors.push(notSupported('preemptionPolicy', preemptionPolicy, ['PreemptLowerPriority', 'Never']))
      return errors
    },
    validateUpdate(one, old) {
      const errors: Errors = []
      if (one.value !== old.value) errors.push(forbidden('value', 'may not be changed in an update.'))
      checkImmutable(
        errors,
        'preemptionPolicy',
        one.preemptionPolicy,
        one.preemptionPolicy === old.preemptionPolicy,
      )
      return errors
    },
  }),
})

const storageClassKind: KindBuilder = (schema) => ({
  strategy: createStrategy<StorageClass>({
    schema,
    applyDefaults(one) {
      one.reclaimPolicy ??= 'Delete'
      one.volumeBindingMode ??= 'Immediate'
    },
    validate({ provisioner, reclaimPolicy, volumeBindingMode }) {
      const errors: Errors = []
      if (!provisioner) errors.push(required('provisioner'))
      else checkName(errors, 'provisioner', provisioner.toLowerCase(), qualifiedNameProblems)
      if (reclaimPolicy !== 'Delete' && reclaimPolicy !== 'Retain')
        errors.push(notSupported('reclaimPolicy', reclaimPolicy, ['Delete', 'Retain']))
      if (volumeBindingMode !== 'Immediate' && volumeBindingMode !== 'WaitForFirstConsumer')
        errors.push(
          notSupported('volumeBindingMode', volumeBindingMode, ['Immediate', 'WaitForFirstConsumer']),
        )
      return errors
    },
    validateUpdate(one, old) {
      const errors: Errors = []
      if (!deepEqual(one.parameters, old.parameters))
        errors.push(forbidden('parameters', 'updates to parameters are forbidden.'))
      checkImmutable(errors, 'provisioner', one.provisioner, one.provisioner === old.provisioner)
      if (one.reclaimPolicy !== old.reclaimPolicy)
        errors.push(forbidden('reclaimPolicy', 'updates to reclaimPolicy are forbidden.'))
      checkImmutable(
        errors,
        'volumeBindingMode',
        one.volumeBindingMode,
        one.volumeBindingMode === old.volumeBindingMode,
      )
      return errors
    },
  }),
})

const runtimeClassKind: KindBuilder = (schema) => ({
  strategy: createStrategy<RuntimeClass>({
    schema,
    updatesUnconditionally: false,
    validate({ handler }) {
      const errors: Errors = []
      checkName(errors, 'handler', handler ?? '', labelProblems)
      return errors
    },
    validateUpdate(one, old) {
      const errors: Errors = []
      checkImmutable(errors, 'handler', one.handler, one.handler === old.handler)
      return errors
    },
  }),
})

const certificateRequestKind: KindBuilder = (schema) => {
  const strategy = createStrategy<CertificateSigningRequest>({
    schema,
    prepareForCreate(request, { user }) {
      request.spec = { ...request.spec, username: user.name, groups: [...user.groups] }
      if (user.uid === undefined) delete request.spec.uid
      else request.spec.uid = user.uid
    },
    prepareForUpdate: (request, old) => void keepField(request, old, 'spec'),
    validate({ spec }) {
      const errors: Errors = []
      if ((spec?.usages ?? []).length === 0) errors.push(required('spec.usages'))
      if (!spec?.signerName) errors.push(required('spec.signerName'))
      else if (!spec.signerName.includes('/'))
        errors.push(
          invalid(
            'spec.signerName',
            spec.signerName,
            'must be a fully qualified domain and path of the form "example.com/signer-name"',
          ),
        )
      if (spec?.expirationSeconds !== undefined && spec.expirationSeconds < 600)
        errors.push(
          invalid(
            'spec.expirationSeconds',
            spec.expirationSeconds,
            'may not specify a duration less than 600 seconds (10 minutes)',
          ),
        )
      return errors
    },
  })
  const keepsConditions = (type: string) => type !== 'Approved' && type !== 'Denied'
  return {
    strategy,
    status: createStatusStrategy<CertificateSigningRequest>(strategy, {
      prepare(request, old) {
        // Approval has a door of its own.
        const verdicts = (old.status?.conditions ?? []).filter(({ type }) => !keepsConditions(type))
        const others = (request.status?.conditions ?? []).filter(({ type }) => keepsConditions(type))
        if (verdicts.length + others.length > 0)
          request.status = { ...request.status, conditions: [...verdicts, ...others] }
      },
    }),
    subresources: {
      approval: {
        type: 'view',
        verbs: ['get', 'patch', 'update'],
        strategy: createStatusStrategy<CertificateSigningRequest>(strategy, {
          prepare(request, old) {
            const conditions = request.status?.conditions
            request.status = { ...old.status, ...(conditions === undefined ? {} : { conditions }) }
          },
          validate({ status }) {
            const types = (status?.conditions ?? []).map(({ type }) => type)
            return types.includes('Approved') && types.includes('Denied')
              ? [
                  invalid(
                    'status.conditions',
                    'Denied',
                    'Approved and Denied conditions are mutually exclusive',
                  ),
                ]
              : []
          },
        }),
      },
    },
    selectable: selectableOf<CertificateSigningRequest>({
      'spec.signerName': ({ spec }) => spec?.signerName,
    }),
  }
}

/** Kinds about which the table and the schema say everything but whether they keep a generation. */
const counted =
  (rules: Partial<KindRules<KubeObject>> = {}): KindBuilder =>
  (schema) => ({
    strategy: createStrategy({ schema, tracksGeneration: true, updatesUnconditionally: false, ...rules }),
  })

/** Kinds of the smaller groups. */
export const otherKinds: KindBuilders = {
  ...networkingKinds,
  ...rbacKinds,
  'coordination.k8s.io/v1/leases': leaseKind,
  'policy/v1/poddisruptionbudgets': disruptionBudgetKind,
  'scheduling.k8s.io/v1/priorityclasses': priorityClassKind,
  'storage.k8s.io/v1/storageclasses': storageClassKind,
  'storage.k8s.io/v1/csidrivers': counted({ generationFields: ['spec'] }),
  'node.k8s.io/v1/runtimeclasses': runtimeClassKind,
  'certificates.k8s.io/v1/certificatesigningrequests': certificateRequestKind,
  'events.k8s.io/v1/events': eventsEventKind,
  'autoscaling/v1/horizontalpodautoscalers': autoscalerV1Kind,
  'autoscaling/v2/horizontalpodautoscalers': autoscalerV2Kind,
  'admissionregistration.k8s.io/v1/mutatingwebhookconfigurations': webhookConfigurationKind(true),
  'admissionregistration.k8s.io/v1/validatingwebhookconfigurations': webhookConfigurationKind(false),
  'admissionregistration.k8s.io/v1/validatingadmissionpolicies': counted({ generationFields: ['spec'] }),
  'admissionregistration.k8s.io/v1/validatingadmissionpolicybindings': counted({
    generationFields: ['spec'],
  }),
  'admissionregistration.k8s.io/v1/mutatingadmissionpolicies': counted({ generationFields: ['spec'] }),
  'admissionregistration.k8s.io/v1/mutatingadmissionpolicybindings': counted({ generationFields: ['spec'] }),
  'flowcontrol.apiserver.k8s.io/v1/flowschemas': counted({ generationFields: ['spec'] }),
  'flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations': counted({ generationFields: ['spec'] }),
}
