import { deepCopy, type KubeObject, pruneUnknown } from '@outrigger/kube'
import type { StorageIdentity } from '../registry/resource.ts'
import { applySchemaDefaults } from './fill-in.ts'
import type { StructuralSchema } from './structural-schema.ts'

/** Converts between the versions of a definition; undefined when only apiVersion differs. */
export type Converter = StorageIdentity['convert']

/**
 * Brings objects into another version: what that version's schema does not know goes, and what it has defaults for is
 * filled in, as a real server does with whatever it reads. Stored objects are converted once for each version.
 */
export function createVersionConverter(
  schemas: ReadonlyMap<string, StructuralSchema>,
  convert: Converter,
): NonNullable<Converter> {
  const remembered = new WeakMap<KubeObject, Map<string, KubeObject>>()

  const settle = (source: KubeObject, converted: KubeObject, apiVersion: string): KubeObject => {
    if (source.apiVersion === apiVersion) return source
    const known = remembered.get(source)?.get(apiVersion)
    if (known !== undefined) return known
    const object = { ...deepCopy(converted), apiVersion }
    const schema = schemas.get(apiVersion)
    if (schema !== undefined) {
      pruneUnknown(object, schema)
      applySchemaDefaults(object, schema)
    }
    // A draft may still change under its converter; what is stored does not.
    if (Object.isFrozen(source)) {
      const versions = remembered.get(source) ?? new Map<string, KubeObject>()
      remembered.set(source, versions.set(apiVersion, object))
    }
    return object
  }

  return async (objects, apiVersion, signal) => {
    const converted = convert === undefined ? objects : await convert(objects, apiVersion, signal)
    return objects.map((source, index) => settle(source, converted[index] ?? source, apiVersion))
  }
}
