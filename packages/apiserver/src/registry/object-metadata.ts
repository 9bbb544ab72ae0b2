import {
  deepEqual,
  type FieldError,
  forbidden,
  invalid,
  type KubeObject,
  type OwnerReference,
  required,
  tooLong,
} from '@outrigger/kube'
import { labelValueProblems, qualifiedNameProblems } from '../kinds/name-rules.ts'
import type { Resource } from './resource.ts'

const maxAnnotationBytes = 256 * 1024

/** The rules for metadata that hold for every kind, on create. The name counts as drawn already. */
export function validateMetadata(resource: Resource, object: KubeObject): FieldError[] {
  const { metadata } = object
  const { strategy } = resource
  const errors: FieldError[] = []
  if (metadata.generateName)
    for (const problem of strategy.nameProblems(metadata.generateName, true))
      errors.push(invalid('metadata.generateName', metadata.generateName, problem))
  if (!metadata.name) errors.push(required('metadata.name', 'name or generateName is required'))
  else
    for (const problem of strategy.nameProblems(metadata.name, false))
      errors.push(invalid('metadata.name', metadata.name, problem))
  if (!resource.namespaced) {
    if (metadata.namespace) errors.push(forbidden('metadata.namespace', 'not allowed on this type'))
  } else if (!metadata.namespace) errors.push(required('metadata.namespace'))
  errors.push(...validateChangeable(metadata))
  return errors
}

function validateChangeable(metadata: KubeObject['metadata']): FieldError[] {
  const errors: FieldError[] = []
  if ((metadata.generation ?? 0) < 0)
    errors.push(invalid('metadata.generation', metadata.generation, 'must be greater than or equal to 0'))
  if (metadata.labels !== undefined) checkLabels(errors, metadata.labels)
  if (metadata.annotations !== undefined) checkAnnotations(errors, metadata.annotations)
  if (metadata.ownerReferences !== undefined) checkOwners(errors, metadata.ownerReferences)
  if (metadata.finalizers !== undefined) checkFinalizers(errors, metadata.finalizers)
  return errors
}

function checkLabels(errors: FieldError[], labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    for (const problem of qualifiedNameProblems(key)) errors.push(invalid('metadata.labels', key, problem))
    for (const problem of labelValueProblems(value)) errors.push(invalid('metadata.labels', value, problem))
  }
}

function checkAnnotations(errors: FieldError[], annotations: Readonly<Record<string, string>>): void {
  let bytes = 0
  for (const key in annotations) {
    for (const problem of qualifiedNameProblems(key.toLowerCase()))
      errors.push(invalid('metadata.annotations', key, problem))
    bytes += Buffer.byteLength(key) + Buffer.byteLength(annotations[key] ?? '')
  }
  if (bytes > maxAnnotationBytes) errors.push(tooLong('metadata.annotations', maxAnnotationBytes))
}

function checkOwners(errors: FieldError[], owners: readonly OwnerReference[]): void {
  const field = 'metadata.ownerReferences'
  let controller: OwnerReference | undefined
  for (const owner of owners) {
    const slash = owner.apiVersion.indexOf('/')
    const version = owner.apiVersion.slice(slash + 1)
    if (owner.apiVersion === '' || version === '')
      errors.push(invalid(`${field}.apiVersion`, version, 'version must not be empty'))
    if (owner.kind === '') errors.push(invalid(`${field}.kind`, '', 'must not be empty'))
    if (owner.name === '') errors.push(invalid(`${field}.name`, '', 'must not be empty'))
    if (owner.uid === '') errors.push(invalid(`${field}.uid`, '', 'must not be empty'))
    if (owner.apiVersion === 'v1' && owner.kind === 'Event')
      errors.push(invalid(field, owner, '/v1, Kind=Event is disallowed from being an owner'))
    if (owner.controller !== true) continue
    if (controller !== undefined)
      errors.push(
        invalid(
          field,
          owners,
          `Only one reference can have Controller set to true. Found "true" in references for ${controller.kind}/${controller.name} and ${owner.kind}/${owner.name}`,
        ),
      )
    controller = owner
  }
}

function checkFinalizers(errors: FieldError[], finalizers: readonly string[]): void {
  const field = 'metadata.finalizers'
  for (const [index, finalizer] of finalizers.entries()) {
    const problems = qualifiedNameProblems(finalizer)
    for (const problem of problems) errors.push(invalid(field, finalizer, problem))
    if (problems.length === 0 && !finalizer.includes('/') && !plainFinalizers.has(finalizer))
      errors.push(
        invalid(
          `${field}[${index}]`,
          finalizer,
          'name is neither a standard finalizer name nor is it fully qualified',
        ),
      )
  }
  if (finalizers.includes('orphan') && finalizers.includes('foregroundDeletion'))
    errors.push(invalid(field, finalizers, 'finalizer foregroundDeletion and orphan cannot be both set'))
}

const plainFinalizers = new Set(['orphan', 'foregroundDeletion', 'kubernetes'])

/** The rules for metadata that hold for every kind, on update. `object` has its final generation. */
export function validateMetadataUpdate(object: KubeObject, old: KubeObject): FieldError[] {
  const metadata = object.metadata
  const before = old.metadata
  const errors = validateChangeable(metadata)
  const immutable = (field: 'name' | 'namespace' | 'uid' | 'creationTimestamp' | 'deletionTimestamp') => {
    if (metadata[field] !== before[field])
      errors.push(invalid(`metadata.${field}`, metadata[field], 'field is immutable'))
  }
  if (before.deletionTimestamp !== undefined) checkNoNewFinalizers(errors, metadata, before)
  immutable('name')
  immutable('namespace')
  immutable('uid')
  immutable('creationTimestamp')
  immutable('deletionTimestamp')
  if (
    metadata.deletionGracePeriodSeconds !== before.deletionGracePeriodSeconds &&
    before.deletionGracePeriodSeconds !== undefined
  )
    errors.push(
      invalid(
        'metadata.deletionGracePeriodSeconds',
        metadata.deletionGracePeriodSeconds ?? null,
        'field is immutable',
      ),
    )
  if ((metadata.generation ?? 0) < (before.generation ?? 0))
    errors.push(invalid('metadata.generation', metadata.generation ?? 0, 'must not be decremented'))
  return errors
}

function checkNoNewFinalizers(
  errors: FieldError[],
  metadata: KubeObject['metadata'],
  before: KubeObject['metadata'],
): void {
  const known = new Set(before.finalizers ?? [])
  const added = (metadata.finalizers ?? []).filter((finalizer) => !known.has(finalizer))
  if (added.length > 0)
    errors.push(
      forbidden(
        'metadata.finalizers',
        `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((one) => JSON.stringify(one)).join(', ')}}`,
      ),
    )
}

/** Puts what the server owns of metadata back as it was. */
export function keepSystemMetadata(object: KubeObject, old: KubeObject): void {
  const metadata = object.metadata
  const before = old.metadata
  metadata.name ??= before.name
  if (before.namespace !== undefined) metadata.namespace ??= before.namespace
  metadata.uid ??= before.uid
  metadata.creationTimestamp = before.creationTimestamp
  if (before.generateName !== undefined) metadata.generateName ??= before.generateName
  keep(metadata, before, 'deletionTimestamp')
  keep(metadata, before, 'deletionGracePeriodSeconds')
  keep(metadata, before, 'selfLink')
}

function keep(
  metadata: KubeObject['metadata'],
  before: KubeObject['metadata'],
  field: 'deletionTimestamp' | 'deletionGracePeriodSeconds' | 'selfLink',
): void {
  if (before[field] === undefined) delete metadata[field]
  else Object.assign(metadata, { [field]: before[field] })
}

/** Drops repeated owner references; the texts are warnings about them. */
export function dedupOwnerReferences(object: KubeObject): string[] {
  const owners = object.metadata.ownerReferences
  if (owners === undefined || owners.length < 2) return []
  const unique: OwnerReference[] = []
  const repeated = new Set<string>()
  for (const owner of owners) {
    if (unique.some((known) => known.uid === owner.uid && deepEqual(known, owner))) repeated.add(owner.uid)
    else unique.push(owner)
  }
  if (repeated.size === 0) return []
  object.metadata.ownerReferences = unique
  return [
    `.metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: ${[...repeated].join(', ')}`,
  ]
}

/** The order in which kube-apiserver writes metadata. */
const wireOrder: readonly (keyof KubeObject['metadata'])[] = [
  'name',
  'generateName',
  'namespace',
  'selfLink',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'labels',
  'annotations',
  'ownerReferences',
  'finalizers',
  'managedFields',
]

/** The same metadata with its fields in the usual order. */
export function inWireOrder(metadata: KubeObject['metadata']): KubeObject['metadata'] {
  const ordered: Record<string, unknown> = {}
  for (const field of wireOrder) if (metadata[field] !== undefined) ordered[field] = metadata[field]
  return ordered as unknown as KubeObject['metadata']
}
