import {
  type EnvFromSource,
  type EnvVar,
  type EnvVarSource,
  invalid,
  type ObjectFieldSelector,
  type ResourceFieldSelector,
  required,
} from '@outrigger/kube'
import { checkName, type Errors, notSupported } from '../field-checks.ts'
import {
  configKeyProblems,
  envNameProblems,
  qualifiedNameProblems,
  subdomainProblems,
} from '../name-rules.ts'

const envFields = new Set([
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
  'spec.nodeName',
  'spec.serviceAccountName',
  'status.hostIP',
  'status.hostIPs',
  'status.podIP',
  'status.podIPs',
])
const volumeFields = new Set([
  'metadata.annotations',
  'metadata.labels',
  'metadata.name',
  'metadata.namespace',
  'metadata.uid',
])
const knownFields = new Set([
  ...envFields,
  ...volumeFields,
  'spec.restartPolicy',
  'spec.schedulerName',
  'status.phase',
])
const containerResources = [
  'limits.cpu',
  'limits.ephemeral-storage',
  'limits.memory',
  'requests.cpu',
  'requests.ephemeral-storage',
  'requests.memory',
]
const subscript = /^(.*)\['([^']*)'\]$/

/** Environment variables of a container. */
export function checkEnv(errors: Errors, path: string, variables: readonly EnvVar[]): void {
  for (let index = 0; index < variables.length; index++) {
    const variable = variables[index] as EnvVar
    if (!variable.name) errors.push(required(`${path}[${index}].name`))
    else checkName(errors, `${path}[${index}].name`, variable.name, envNameProblems)
    if (variable.valueFrom !== undefined)
      checkValueFrom(errors, `${path}[${index}].valueFrom`, variable.valueFrom, variable.value ?? '')
  }
}

function checkValueFrom(errors: Errors, path: string, source: EnvVarSource, value: string): void {
  let count = 0
  if (source.fieldRef !== undefined) {
    count++
    checkFieldReference(errors, `${path}.fieldRef`, source.fieldRef, 'env')
  }
  if (source.resourceFieldRef !== undefined) {
    count++
    checkResourceReference(errors, `${path}.resourceFieldRef`, source.resourceFieldRef, false)
  }
  for (const field of ['configMapKeyRef', 'secretKeyRef'] as const) {
    const reference = source[field]
    if (reference === undefined) continue
    count++
    checkName(errors, `${path}.${field}.name`, reference.name ?? '', subdomainProblems)
    if (!reference.key) errors.push(required(`${path}.${field}.key`))
    else checkName(errors, `${path}.${field}.key`, reference.key, configKeyProblems)
  }
  if (source.fileKeyRef !== undefined) count++
  if (count === 0)
    errors.push(
      invalid(
        path,
        '',
        'must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
      ),
    )
  if (value !== '') {
    if (count !== 0) errors.push(invalid(path, '', 'may not be specified when `value` is not empty'))
  } else if (count > 1) errors.push(invalid(path, '', 'may not have more than one field specified at a time'))
}

/** A downward API reference to a field of the pod. */
export function checkFieldReference(
  errors: Errors,
  path: string,
  reference: ObjectFieldSelector,
  use: 'env' | 'volume',
): void {
  if (!reference.apiVersion) {
    errors.push(required(`${path}.apiVersion`))
    return
  }
  const field = reference.fieldPath
  if (!field) {
    errors.push(required(`${path}.fieldPath`))
    return
  }
  const match = subscript.exec(field)
  if (match !== null) {
    const [, map, key = ''] = match
    if (map !== 'metadata.annotations' && map !== 'metadata.labels')
      errors.push(invalid(`${path}.fieldPath`, map, 'does not support subscript'))
    else
      checkName(
        errors,
        `${path}.fieldPath`,
        map === 'metadata.labels' ? key : key.toLowerCase(),
        qualifiedNameProblems,
      )
    return
  }
  const allowed = use === 'env' ? envFields : volumeFields
  if (!knownFields.has(field))
    errors.push(
      invalid(`${path}.fieldPath`, field, `error converting fieldPath: field label not supported: ${field}`),
    )
  else if (!allowed.has(field)) errors.push(notSupported(`${path}.fieldPath`, field, [...allowed].sort()))
}

/** A downward API reference to a request or limit of a container. */
export function checkResourceReference(
  errors: Errors,
  path: string,
  reference: ResourceFieldSelector,
  needsContainer: boolean,
): void {
  if (needsContainer && !reference.containerName) errors.push(required(`${path}.containerName`))
  else if (!reference.resource) errors.push(required(`${path}.resource`))
  else if (
    !containerResources.includes(reference.resource) &&
    !/^(limits|requests)\.hugepages-/.test(reference.resource)
  )
    errors.push(notSupported(`${path}.resource`, reference.resource, containerResources))
}

/** Sources whose every key becomes a variable. */
export function checkEnvFrom(errors: Errors, path: string, sources: readonly EnvFromSource[]): void {
  sources.forEach((source, index) => {
    const at = `${path}[${index}]`
    if (source.prefix) checkName(errors, `${at}.prefix`, source.prefix, envNameProblems)
    let count = 0
    for (const field of ['configMapRef', 'secretRef'] as const) {
      const reference = source[field]
      if (reference === undefined) continue
      count++
      if (!reference.name) errors.push(required(`${at}.${field}.name`))
      else checkName(errors, `${at}.${field}.name`, reference.name, (name) => subdomainProblems(name, true))
    }
    if (count === 0) errors.push(invalid(at, '', 'must specify one of: `configMapRef` or `secretRef`'))
    else if (count > 1) errors.push(invalid(at, '', 'may not have more than one field specified at a time'))
  })
}
