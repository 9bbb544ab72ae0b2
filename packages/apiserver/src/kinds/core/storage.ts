import { formatTime } from '@outrigger/foundation'
import {
  deepEqual,
  forbidden,
  invalid,
  type PersistentVolume,
  type PersistentVolumeClaim,
  required,
} from '@outrigger/kube'
import { nanosOf } from '../amounts.ts'
import { checkLabelSelector, checkName, type Errors, notSupported } from '../field-checks.ts'
import type { KindBuilder } from '../kind-definition.ts'
import { subdomainProblems } from '../name-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'
import { applyClaimDefaults } from './claim-defaults.ts'

const accessModes = ['ReadOnlyMany', 'ReadWriteMany', 'ReadWriteOnce', 'ReadWriteOncePod']
const volumeModes = ['Block', 'Filesystem']
const reclaimPolicies = ['Delete', 'Recycle', 'Retain']

/** Everything in a volume's spec that says where it is rather than what it is. */
const notSources = new Set([
  'accessModes',
  'capacity',
  'claimRef',
  'mountOptions',
  'nodeAffinity',
  'persistentVolumeReclaimPolicy',
  'storageClassName',
  'volumeAttributesClassName',
  'volumeMode',
])

const sourcesOf = (spec: PersistentVolume['spec']) =>
  Object.keys(spec ?? {}).filter((field) => !notSources.has(field))

/** Volumes of a cluster. */
export const persistentVolumeKind: KindBuilder = (schema) => {
  const strategy = createStrategy<PersistentVolume>({
    schema,
    initialStatus: (_, { now }) => ({ phase: 'Pending', lastPhaseTransitionTime: formatTime(now) }),
    applyDefaults({ spec }) {
      if (spec === undefined) return
      spec.persistentVolumeReclaimPolicy ??= 'Retain'
      spec.volumeMode ??= 'Filesystem'
      if (spec.hostPath !== undefined) spec.hostPath.type ??= ''
      if (spec.claimRef !== undefined && spec.claimRef.kind === undefined) {
        spec.claimRef.kind = 'PersistentVolumeClaim'
        spec.claimRef.apiVersion ??= 'v1'
      }
    },
    validate: volumeErrors,
    validateUpdate(volume, old) {
      const fields = [...new Set([...sourcesOf(volume.spec), ...sourcesOf(old.spec)])] as (keyof NonNullable<
        PersistentVolume['spec']
      >)[]
      const isSame = fields.every((field) => deepEqual(volume.spec?.[field], old.spec?.[field]))
      const errors: Errors = isSame
        ? []
        : [
            forbidden(
              'spec.persistentvolumesource',
              'spec.persistentvolumesource is immutable after creation',
            ),
          ]
      if (volume.spec?.volumeMode !== old.spec?.volumeMode)
        errors.push(invalid('spec.volumeMode', volume.spec?.volumeMode, 'field is immutable'))
      return errors
    },
  })
  return {
    strategy,
    status: createStatusStrategy<PersistentVolume>(strategy, {
      prepare(volume, old, { now }) {
        if (volume.status?.phase !== old.status?.phase && volume.status !== undefined)
          volume.status.lastPhaseTransitionTime = formatTime(now)
      },
    }),
  }
}

function volumeErrors({ spec }: PersistentVolume): Errors {
  const errors: Errors = []
  if (spec === undefined) return [required('spec')]
  if ((spec.accessModes ?? []).length === 0) errors.push(required('spec.accessModes'))
  for (const mode of spec.accessModes ?? [])
    if (!accessModes.includes(mode)) errors.push(notSupported('spec.accessModes', mode, accessModes))
  const capacity = spec.capacity
  if (capacity === undefined) errors.push(required('spec.capacity'))
  if (capacity?.storage === undefined || Object.keys(capacity).length > 1)
    errors.push(notSupported('spec.capacity', capacity ?? null, ['storage']))
  for (const name in capacity)
    if (nanosOf(capacity[name]) <= 0n)
      errors.push(invalid(`spec.capacity[${name}]`, capacity[name], 'must be greater than zero'))
  const policy = spec.persistentVolumeReclaimPolicy
  if (policy !== undefined && !reclaimPolicies.includes(policy))
    errors.push(notSupported('spec.persistentVolumeReclaimPolicy', policy, reclaimPolicies))
  const sources = sourcesOf(spec)
  if (sources.length === 0) errors.push(required('spec', 'must specify a volume type'))
  for (const source of sources.slice(1))
    errors.push(forbidden(`spec.${source}`, 'may not specify more than 1 volume type'))
  if (spec.hostPath !== undefined && !spec.hostPath.path) errors.push(required('spec.hostPath.path'))
  if (spec.storageClassName)
    checkName(errors, 'spec.storageClassName', spec.storageClassName, subdomainProblems)
  if (spec.volumeMode !== undefined && !volumeModes.includes(spec.volumeMode))
    errors.push(notSupported('spec.volumeMode', spec.volumeMode, volumeModes))
  return errors
}

/** Requests for volumes. */
export const persistentVolumeClaimKind: KindBuilder = (schema) => {
  const strategy = createStrategy<PersistentVolumeClaim>({
    schema,
    initialStatus: () => ({ phase: 'Pending' }),
    applyDefaults: applyClaimDefaults,
    validate: claimErrors,
    validateUpdate: claimUpdateErrors,
  })
  return { strategy, status: createStatusStrategy<PersistentVolumeClaim>(strategy) }
}

function claimErrors({ spec }: PersistentVolumeClaim): Errors {
  const errors: Errors = []
  if (spec === undefined) return [required('spec')]
  if ((spec.accessModes ?? []).length === 0)
    errors.push(required('spec.accessModes', 'at least 1 access mode is required'))
  checkLabelSelector(errors, 'spec.selector', spec.selector)
  for (const mode of spec.accessModes ?? [])
    if (!accessModes.includes(mode)) errors.push(notSupported('spec.accessModes', mode, accessModes))
  const storage = spec.resources?.requests?.storage
  if (storage === undefined) errors.push(required('spec.resources[storage]'))
  else if (nanosOf(storage) <= 0n)
    errors.push(invalid('spec.resources[storage]', storage, 'must be greater than zero'))
  if (spec.storageClassName)
    checkName(errors, 'spec.storageClassName', spec.storageClassName, subdomainProblems)
  if (spec.volumeMode !== undefined && !volumeModes.includes(spec.volumeMode))
    errors.push(notSupported('spec.volumeMode', spec.volumeMode, volumeModes))
  return errors
}

function claimUpdateErrors(claim: PersistentVolumeClaim, old: PersistentVolumeClaim): Errors {
  const now = { ...claim.spec }
  const then = { ...old.spec }
  // A claim is bound once, its class may be filled in late, and it may grow.
  if (!then.volumeName) delete now.volumeName
  if (then.storageClassName === undefined) delete now.storageClassName
  const errors: Errors = []
  const wanted = nanosOf(claim.spec?.resources?.requests?.storage)
  const had = nanosOf(old.spec?.resources?.requests?.storage)
  const isBound = old.status?.phase === 'Bound'
  if (wanted < had && nanosOf(old.status?.capacity?.storage) >= wanted)
    errors.push(forbidden('spec.resources.requests.storage', 'field can not be less than status.capacity'))
  if (isBound) {
    delete now.resources
    delete then.resources
  }
  delete now.volumeAttributesClassName
  delete then.volumeAttributesClassName
  if (!then.volumeName) delete then.volumeName
  if (!deepEqual(now, then))
    errors.push(
      forbidden(
        'spec',
        'spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims\n',
      ),
    )
  return errors
}
