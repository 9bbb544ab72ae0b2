import { deepCopy, isRecord } from '@outrigger/kube'
import type { StructuralSchema } from './structural-schema.ts'

type Fields = Record<string, unknown>

/** Fills in, in place, the defaults of fields that are missing, and drops nulls that are not allowed but have a default. */
export function applySchemaDefaults(value: unknown, schema: StructuralSchema): void {
  if (!schema.hasDefaults) return
  if (Array.isArray(value)) {
    const { items } = schema
    if (items !== undefined)
      for (let index = 0; index < value.length; index++) {
        if (value[index] === null && items.nullable !== true && items.default !== undefined)
          value[index] = deepCopy(items.default)
        applySchemaDefaults(value[index], items)
      }
    return
  }
  if (!isRecord(value)) return
  const fields = value as Fields
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const present = Object.hasOwn(fields, name) ? fields[name] : undefined
    const isMissing = present === undefined || (present === null && field.nullable !== true)
    if (isMissing && field.default !== undefined) fields[name] = deepCopy(field.default)
    if (fields[name] !== undefined) applySchemaDefaults(fields[name], field)
  }
  if (schema.values === undefined) return
  for (const name of Object.keys(fields)) {
    if (fieldOf(schema, name) !== undefined) continue
    if (fields[name] === null && schema.values.nullable !== true && schema.values.default !== undefined)
      fields[name] = deepCopy(schema.values.default)
    applySchemaDefaults(fields[name], schema.values)
  }
}

function fieldOf(schema: StructuralSchema, name: string): StructuralSchema | undefined {
  return schema.properties !== undefined && Object.hasOwn(schema.properties, name)
    ? schema.properties[name]
    : undefined
}
