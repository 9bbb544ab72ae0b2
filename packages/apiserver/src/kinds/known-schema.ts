import { type Schema, schemaOfKind } from '@outrigger/kube'

/**
 * The schema of a kind Kubernetes 1.36 is known to have.
 *
 * @throws Error when it has not, which is a mistake in this program.
 */
export function knownSchema(group: string, version: string, kind: string): Schema {
  const schema = schemaOfKind(group, version, kind)
  if (schema === undefined) throw new Error(`Kubernetes 1.36 has no kind ${kind} in ${group}/${version}`)
  return schema
}
