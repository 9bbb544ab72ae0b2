import type { AdmissionAttributes, Operation } from '../plugin.ts'

/** Whether a request writes the main part of `plural` in `group` with one of these operations. */
export function writes(
  attributes: AdmissionAttributes,
  group: string,
  plural: string,
  ...operations: readonly Operation[]
): boolean {
  const { resource } = attributes
  return (
    resource.plural === plural &&
    resource.group === group &&
    attributes.subresource === '' &&
    operations.includes(attributes.operation)
  )
}

/** What refusals call the object: its resource, not its kind. */
export function subjectOf({ resource }: AdmissionAttributes): { group: string; resource: string } {
  return { group: resource.group, resource: resource.plural }
}

/** The name in refusals. Empty as long as a generated one is not drawn. */
export function nameOf({ name, object }: AdmissionAttributes): string {
  return name || object?.metadata.name || object?.metadata.generateName || ''
}
