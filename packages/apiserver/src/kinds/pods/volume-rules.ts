import {
  duplicate,
  forbidden,
  invalid,
  type KeyToPath,
  type ProjectedVolumeSource,
  required,
  type Volume,
  type VolumeProjection,
} from '@outrigger/kube'
import { nanosOf } from '../amounts.ts'
import { checkName, type Errors, notSupported } from '../field-checks.ts'
import { labelProblems } from '../name-rules.ts'
import { checkFieldReference, checkResourceReference } from './env-rules.ts'
import { checkDescendingPath, checkNoBacksteps } from './volume-mount-rules.ts'

const hostPathTypes = [
  '',
  'BlockDevice',
  'CharDevice',
  'Directory',
  'DirectoryOrCreate',
  'File',
  'FileOrCreate',
  'Socket',
]
const pullPolicies = ['Always', 'IfNotPresent', 'Never']

/**
 * Volumes of a pod; those without a fault end up in `valid`, which is what mounts may refer to.
 *
 * Names of ConfigMaps, Secrets and claims are not checked beyond being there: kube-apiserver accepts
 * `kube-system/x` in them, and virtual nodes rely on it.
 */
export function checkVolumes(
  errors: Errors,
  path: string,
  volumes: readonly Volume[],
  valid: Map<string, Volume>,
): void {
  for (let index = 0; index < volumes.length; index++) {
    const volume = volumes[index] as Volume
    const at = `${path}[${index}]`
    const before = errors.length
    checkVolumeSource(errors, at, volume)
    if (!volume.name) errors.push(required(`${at}.name`))
    else checkName(errors, `${at}.name`, volume.name, labelProblems)
    if (valid.has(volume.name)) errors.push(duplicate(`${at}.name`, volume.name))
    if (errors.length === before) valid.set(volume.name, volume)
  }
}

type SourceCheck = (errors: Errors, path: string, source: never) => void

/** What must be there for each source. Sources not listed need nothing in particular. */
const sourceChecks: Readonly<Partial<Record<keyof Volume, SourceCheck>>> = {
  emptyDir: check<'emptyDir'>((errors, path, source) => {
    if (source.sizeLimit !== undefined && nanosOf(source.sizeLimit) < 0n)
      errors.push(forbidden(`${path}.sizeLimit`, 'SizeLimit field must be a valid resource quantity'))
  }),
  hostPath: check<'hostPath'>((errors, path, source) => {
    if (!source.path) errors.push(required(`${path}.path`))
    else checkNoBacksteps(errors, `${path}.path`, source.path)
    if (!hostPathTypes.includes(source.type ?? ''))
      errors.push(notSupported(`${path}.type`, source.type, hostPathTypes))
  }),
  configMap: check<'configMap'>((errors, path, source) => {
    if (!source.name) errors.push(required(`${path}.name`))
    checkMode(errors, `${path}.defaultMode`, source.defaultMode)
    checkItems(errors, `${path}.items`, source.items)
  }),
  secret: check<'secret'>((errors, path, source) => {
    if (!source.secretName) errors.push(required(`${path}.secretName`))
    checkMode(errors, `${path}.defaultMode`, source.defaultMode)
    checkItems(errors, `${path}.items`, source.items)
  }),
  persistentVolumeClaim: check<'persistentVolumeClaim'>((errors, path, source) => {
    if (!source.claimName) errors.push(required(`${path}.claimName`))
  }),
  downwardAPI: check<'downwardAPI'>((errors, path, source) => {
    checkMode(errors, `${path}.defaultMode`, source.defaultMode)
    checkDownwardItems(errors, `${path}.items`, source.items)
  }),
  projected: check<'projected'>(checkProjected),
  ephemeral: check<'ephemeral'>((errors, path, source) => {
    if (source.volumeClaimTemplate === undefined) errors.push(required(`${path}.volumeClaimTemplate`))
    else if ((source.volumeClaimTemplate.spec.accessModes ?? []).length === 0)
      errors.push(
        required(`${path}.volumeClaimTemplate.spec.accessModes`, 'at least 1 access mode is required'),
      )
  }),
  nfs: check<'nfs'>((errors, path, source) => {
    if (!source.server) errors.push(required(`${path}.server`))
    if (!source.path) errors.push(required(`${path}.path`))
    else if (!source.path.startsWith('/'))
      errors.push(invalid(`${path}.path`, source.path, 'must be an absolute path'))
  }),
  csi: check<'csi'>((errors, path, source) => {
    if (!source.driver) errors.push(required(`${path}.driver`))
  }),
  image: check<'image'>((errors, path, source) => {
    if (!source.reference) errors.push(required(`${path}.reference`))
    if (source.pullPolicy !== undefined && !pullPolicies.includes(source.pullPolicy))
      errors.push(notSupported(`${path}.pullPolicy`, source.pullPolicy, pullPolicies))
  }),
  iscsi: check<'iscsi'>((errors, path, source) => {
    if (!source.targetPortal) errors.push(required(`${path}.targetPortal`))
    if (!source.iqn) errors.push(required(`${path}.iqn`))
  }),
  cephfs: check<'cephfs'>((errors, path, source) => {
    if ((source.monitors ?? []).length === 0) errors.push(required(`${path}.monitors`))
  }),
  gcePersistentDisk: check<'gcePersistentDisk'>((errors, path, source) => {
    if (!source.pdName) errors.push(required(`${path}.pdName`))
  }),
  awsElasticBlockStore: check<'awsElasticBlockStore'>((errors, path, source) => {
    if (!source.volumeID) errors.push(required(`${path}.volumeID`))
  }),
  flexVolume: check<'flexVolume'>((errors, path, source) => {
    if (!source.driver) errors.push(required(`${path}.driver`))
  }),
}

function check<Field extends keyof Volume>(
  rule: (errors: Errors, path: string, source: NonNullable<Volume[Field]>) => void,
): SourceCheck {
  return rule as SourceCheck
}

function checkVolumeSource(errors: Errors, at: string, volume: Volume): void {
  let count = 0
  for (const field in volume) {
    if (field === 'name') continue
    const source = volume[field as keyof Volume]
    if (source === undefined) continue
    const path = `${at}.${field}`
    if (count++ > 0) errors.push(forbidden(path, 'may not specify more than 1 volume type'))
    else sourceChecks[field as keyof Volume]?.(errors, path, source as never)
  }
  if (count === 0) errors.push(required(at, 'must specify a volume type'))
}

function checkMode(errors: Errors, field: string, mode: number | undefined): void {
  if (mode !== undefined && (mode < 0 || mode > 0o777))
    errors.push(invalid(field, mode, 'must be a number between 0 and 0777 (octal), both inclusive'))
}

function checkItems(errors: Errors, path: string, items: readonly KeyToPath[] | undefined): void {
  items?.forEach((item, index) => {
    const at = `${path}[${index}]`
    if (!item.key) errors.push(required(`${at}.key`))
    if (!item.path) errors.push(required(`${at}.path`))
    else checkFilePath(errors, `${at}.path`, item.path)
    checkMode(errors, `${at}.mode`, item.mode)
  })
}

/** Files below a volume: relative, no way up, and no name the kubelet uses itself. */
function checkFilePath(errors: Errors, field: string, path: string): void {
  checkDescendingPath(errors, field, path)
  if (path.startsWith('..') && !path.startsWith('../'))
    errors.push(invalid(field, path, "must not start with '..'"))
}

type DownwardItems = NonNullable<Volume['downwardAPI']>['items']

function checkDownwardItems(errors: Errors, path: string, items: DownwardItems): void {
  items?.forEach((item, index) => {
    const at = `${path}[${index}]`
    if (!item.path) errors.push(required(`${at}.path`))
    else checkFilePath(errors, `${at}.path`, item.path)
    if (item.fieldRef !== undefined) {
      checkFieldReference(errors, `${at}.fieldRef`, item.fieldRef, 'volume')
      if (item.resourceFieldRef !== undefined)
        errors.push(
          invalid(at, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'),
        )
    } else if (item.resourceFieldRef !== undefined)
      checkResourceReference(errors, `${at}.resourceFieldRef`, item.resourceFieldRef, true)
    else errors.push(required(at, 'one of fieldRef and resourceFieldRef is required'))
    checkMode(errors, `${at}.mode`, item.mode)
  })
}

function checkProjected(errors: Errors, path: string, projected: ProjectedVolumeSource): void {
  checkMode(errors, `${path}.defaultMode`, projected.defaultMode)
  const files = new Set<string>()
  projected.sources?.forEach((source, index) => {
    checkProjection(errors, `${path}.sources[${index}]`, source, files)
  })
}

function checkProjection(errors: Errors, at: string, source: VolumeProjection, files: Set<string>): void {
  const fields = Object.keys(source).filter((field) => source[field as keyof VolumeProjection] !== undefined)
  if (fields.length === 0)
    errors.push(required(at, 'at least one of the projection sources must be specified'))
  for (const field of fields.slice(1))
    errors.push(forbidden(`${at}.${field}`, 'may not specify more than 1 volume type'))
  for (const field of ['configMap', 'secret'] as const) {
    const projection = source[field]
    if (projection === undefined) continue
    if (!projection.name) errors.push(required(`${at}.${field}.name`))
    checkItems(errors, `${at}.${field}.items`, projection.items)
    for (const item of projection.items ?? []) checkFresh(errors, `${at}.${field}`, item.path, files)
  }
  if (source.downwardAPI !== undefined) {
    checkDownwardItems(errors, `${at}.downwardAPI.items`, source.downwardAPI.items)
    for (const item of source.downwardAPI.items ?? [])
      checkFresh(errors, `${at}.downwardAPI`, item.path, files)
  }
  const token = source.serviceAccountToken
  if (token === undefined) return
  const seconds = token.expirationSeconds ?? 3600
  if (seconds < 600)
    errors.push(
      invalid(
        `${at}.serviceAccountToken.expirationSeconds`,
        seconds,
        'may not specify a duration less than 10 minutes',
      ),
    )
  else if (seconds > 2 ** 32)
    errors.push(
      invalid(
        `${at}.serviceAccountToken.expirationSeconds`,
        seconds,
        'may not specify a duration larger than 2^32 seconds',
      ),
    )
  if (!token.path) errors.push(required(`${at}.serviceAccountToken.path`))
  else {
    checkFilePath(errors, `${at}.serviceAccountToken.path`, token.path)
    checkFresh(errors, `${at}.serviceAccountToken`, token.path, files)
  }
}

function checkFresh(errors: Errors, field: string, file: string | undefined, files: Set<string>): void {
  if (!file) return
  if (files.has(file)) errors.push(invalid(field, file, `conflicting duplicate paths`))
  files.add(file)
}
