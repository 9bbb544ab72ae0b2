import { formatTime } from '@outrigger/foundation'
import {
  apiVersionOf,
  type FieldSet,
  type KubeObject,
  type ManagedFieldsEntry,
  updateManagers,
} from '@outrigger/kube'
import type { Writer, WriteTarget } from './write-request.ts'

const leaf: FieldSet = {}
const statusOnly: FieldSet = { 'f:status': leaf }
const specOnly: FieldSet = { 'f:spec': leaf }
/** A status write of a custom object changes no metadata at all. */
const specAndMetadata: FieldSet = { 'f:spec': leaf, 'f:metadata': leaf }

/** Paths a write cannot change and therefore does not own. */
export function ignoredFields({ resource, subresource }: WriteTarget): FieldSet | undefined {
  if (subresource === 'status') return resource.isCustom ? specAndMetadata : specOnly
  if (subresource !== '') return undefined
  const hasOwnStatus = resource.subresources['status'] !== undefined
  return hasOwnStatus ? statusOnly : undefined
}

/** Sets `object.metadata.managedFields` to what it is after this write, which is no apply. */
export function recordOwnership({
  target,
  writer,
  old,
  object,
}: {
  readonly target: WriteTarget
  readonly writer: Writer
  readonly old: KubeObject | undefined
  readonly object: KubeObject
}): void {
  const { resource, subresource } = target
  const ignored = ignoredFields(target)
  const sent = subresource === '' ? object.metadata.managedFields : undefined
  setManagers(
    object,
    updateManagers({
      before: old,
      after: object,
      managers: sent ?? old?.metadata.managedFields,
      manager: writer.manager,
      apiVersion: apiVersionOf(resource),
      time: subresource === 'scale' ? undefined : formatTime(writer.now),
      subresource,
      schema: resource.schema,
      ...(ignored === undefined ? {} : { ignored }),
    }),
  )
}

export function setManagers(object: KubeObject, managers: ManagedFieldsEntry[]): void {
  if (managers.length === 0) delete object.metadata.managedFields
  else object.metadata.managedFields = managers
}
