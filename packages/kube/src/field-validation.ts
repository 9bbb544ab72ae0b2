import type { Schema } from './schema.ts'

/**
 * Paths of fields the schema does not know (`spec.containers[0].imagee`), in the order of the document. Below
 * an unknown field nothing is looked at.
 */
export function findUnknownFields(value: unknown, schema: Schema): string[] {
  const paths: string[] = []
  walk(value, schema, '', paths, false)
  return paths
}

/** Removes unknown fields in place; returns their paths as `findUnknownFields` does. */
export function pruneUnknown(value: unknown, schema: Schema): string[] {
  const paths: string[] = []
  walk(value, schema, '', paths, true)
  return paths
}

const embeddedFields: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata'])

function walk(value: unknown, schema: Schema, path: string, paths: string[], prunes: boolean): void {
  if (
    typeof value !== 'object' ||
    value === null ||
    (schema.type === 'any' && schema.properties === undefined)
  )
    return
  if (Array.isArray(value)) {
    const items = schema.items
    if (items === undefined || isScalar(items)) return
    for (let index = 0; index < value.length; index++)
      walk(value[index], items, `${path}[${index}]`, paths, prunes)
    return
  }
  if (schema.type === 'array' || isScalar(schema)) return
  const fields = value as Record<string, unknown>
  const { properties, values } = schema
  if (properties === undefined && values !== undefined && isScalar(values)) return
  for (const key in fields) {
    const field = fields[key]
    const below =
      properties !== undefined && Object.hasOwn(properties, key) ? (properties[key] as Schema) : values
    if (below !== undefined) {
      if (typeof field === 'object' && field !== null) walk(field, below, join(path, key), paths, prunes)
    } else if (schema.preservesUnknown !== true && !(schema.isEmbeddedResource && embeddedFields.has(key))) {
      paths.push(join(path, key))
      if (prunes) delete fields[key]
    }
  }
}

function isScalar(schema: Schema): boolean {
  return schema.type !== 'object' && schema.type !== 'array' && schema.type !== 'any'
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`
}

/** The warning or error text for an unknown field. */
export function unknownFieldMessage(path: string): string {
  return `unknown field ${JSON.stringify(path)}`
}

/** The warning or error text for a field that is there twice. */
export function duplicateFieldMessage(path: string): string {
  return `duplicate field ${JSON.stringify(path)}`
}
