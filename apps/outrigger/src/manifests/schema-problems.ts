import { closestWord, isRecord, type JSONSchemaProps } from '@outrigger/kube'

export interface SchemaProblem {
  readonly field: string
  readonly kind: 'unknown field' | 'wrong type'
  readonly message: string
}

const preserve = 'x-kubernetes-preserve-unknown-fields'

/** Where a value departs from a CRD's schema in names or types. Null stands for absent. */
export function schemaProblems(value: unknown, schema: JSONSchemaProps, field = ''): SchemaProblem[] {
  if (value === null || value === undefined) return []
  const wrong = (message: string): SchemaProblem[] => [{ field, kind: 'wrong type', message }]
  switch (schema.type) {
    case 'object':
      return isRecord(value) ? fieldProblems(value, schema, field) : wrong('must be an object')
    case 'array': {
      if (!Array.isArray(value)) return wrong('must be a list')
      const items = schema.items as JSONSchemaProps | undefined
      return value.flatMap((item, i) => {
        if (item === null)
          return [{ field: `${field}[${i}]`, kind: 'wrong type', message: 'must not be null' }]
        return items === undefined ? [] : schemaProblems(item, items, `${field}[${i}]`)
      })
    }
    case 'string':
      return typeof value === 'string' ? [] : wrong(`must be a text: write "${String(value)}" in quotes`)
    case 'integer':
      return Number.isInteger(value) ? [] : wrong('must be a whole number')
    case 'boolean':
      return typeof value === 'boolean' ? [] : wrong('must be true or false')
    default:
      return []
  }
}

function fieldProblems(
  value: Record<string, unknown>,
  schema: JSONSchemaProps,
  field: string,
): SchemaProblem[] {
  const { properties, additionalProperties } = schema
  if (isRecord(additionalProperties))
    return Object.entries(value).flatMap(([key, entry]) =>
      schemaProblems(entry, additionalProperties as JSONSchemaProps, `${field}[${key}]`),
    )
  if (properties === undefined) return []
  return Object.entries(value).flatMap(([key, entry]): SchemaProblem[] => {
    const at = field === '' ? key : `${field}.${key}`
    const known = properties[key]
    if (known !== undefined) return schemaProblems(entry, known, at)
    if (schema[preserve]) return []
    const close = closestWord(key, Object.keys(properties))
    return [
      {
        field: at,
        kind: 'unknown field',
        message: `unknown field, which would be dropped${close === undefined ? '; remove it' : `; did you mean ${close}?`}`,
      },
    ]
  })
}
