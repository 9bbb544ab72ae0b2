import { WireWriter } from '../protobuf/wire-writer.ts'

/**
 * What the binary form of `/openapi/v2` is called in answers. Clients ask for it with an `@` before the version, which
 * their own parser of media types would refuse in an answer; kube-apiserver writes a dot there too.
 */
export const binaryMediaType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined)
const numberOf = (value: unknown) => (typeof value === 'number' ? value : undefined)
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
const textsOf = (value: unknown) => listOf(value).filter((item) => typeof item === 'string')
const entriesOf = (value: unknown) => (isObject(value) ? Object.entries(value) : [])

/**
 * A Swagger 2 document as a message. Field numbers: `OpenAPIv2.proto` of google/gnostic (package `openapi.v2`).
 * Only what our documents hold is written; values of free form travel as YAML, of which JSON is a part.
 */
export function encodeBinaryDocument(document: Json): Buffer {
  const writer = new WireWriter()
  writer.text(1, textOf(document['swagger']))
  const info = isObject(document['info']) ? document['info'] : {}
  writer.message(2, (inner) => inner.text(1, textOf(info['title'])).text(2, textOf(info['version'])))
  writer.message(8, (paths) => {
    for (const [path, item] of entriesOf(document['paths']))
      paths.message(2, (named) => named.text(1, path).message(2, (inner) => writePathItem(inner, item)))
  })
  writer.message(9, (definitions) => writeNamedSchemas(definitions, document['definitions']))
  return writer.finish()
}

const methods = { get: 2, put: 3, post: 4, delete: 5, options: 6, head: 7, patch: 8 } as const

function writePathItem(writer: WireWriter, item: unknown): void {
  if (!isObject(item)) return
  for (const [method, field] of Object.entries(methods)) {
    const operation = item[method]
    if (isObject(operation)) writer.message(field, (inner) => writeOperation(inner, operation))
  }
  writeParameters(writer, 9, item['parameters'])
}

function writeOperation(writer: WireWriter, operation: Json): void {
  writer.text(3, textOf(operation['description']))
  writer.text(5, textOf(operation['operationId']))
  writer.texts(6, textsOf(operation['produces'])).texts(7, textsOf(operation['consumes']))
  writeParameters(writer, 8, operation['parameters'])
  writer.message(9, (responses) => {
    for (const [code, response] of entriesOf(operation['responses'])) {
      if (!isObject(response)) continue
      responses.message(1, (named) =>
        named.text(1, code).message(2, (value) => value.message(1, (own) => writeResponse(own, response))),
      )
    }
  })
  writeExtensions(writer, 13, operation)
}

function writeResponse(writer: WireWriter, response: Json): void {
  writer.text(1, textOf(response['description']))
  const schema = response['schema']
  if (isObject(schema)) writer.message(2, (item) => item.message(1, (inner) => writeSchema(inner, schema)))
}

/** Parameters in the query and in the path; both number their fields differently after the name. */
function writeParameters(writer: WireWriter, field: number, parameters: unknown): void {
  for (const parameter of listOf(parameters)) {
    if (!isObject(parameter)) continue
    const isQuery = parameter['in'] === 'query'
    const writeOwn = (own: WireWriter) => {
      own.flag(1, parameter['required'] === true).text(2, textOf(parameter['in']))
      own.text(3, textOf(parameter['description'])).text(4, textOf(parameter['name']))
      own.text(isQuery ? 6 : 5, textOf(parameter['type']))
      own.flag(isQuery ? 20 : 19, parameter['uniqueItems'] === true)
    }
    writer.message(field, (item) =>
      item.message(1, (one) => one.message(2, (plain) => plain.message(isQuery ? 3 : 4, writeOwn))),
    )
  }
}

function writeNamedSchemas(writer: WireWriter, schemas: unknown): void {
  for (const [name, schema] of entriesOf(schemas))
    if (isObject(schema))
      writer.message(1, (named) => named.text(1, name).message(2, (inner) => writeSchema(inner, schema)))
}

function writeSchema(writer: WireWriter, schema: Json): void {
  writer.text(1, textOf(schema['$ref'])).text(2, textOf(schema['format']))
  writer.text(3, textOf(schema['title'])).text(4, textOf(schema['description']))
  writeAny(writer, 5, schema['default'])
  writer.double(6, numberOf(schema['multipleOf']))
  writer.double(7, numberOf(schema['maximum'])).flag(8, schema['exclusiveMaximum'] === true)
  writer.double(9, numberOf(schema['minimum'])).flag(10, schema['exclusiveMinimum'] === true)
  writer.count(11, numberOf(schema['maxLength'])).count(12, numberOf(schema['minLength']))
  writer.text(13, textOf(schema['pattern']))
  writer.count(14, numberOf(schema['maxItems'])).count(15, numberOf(schema['minItems']))
  writer.flag(16, schema['uniqueItems'] === true)
  writer.count(17, numberOf(schema['maxProperties'])).count(18, numberOf(schema['minProperties']))
  writer.texts(19, textsOf(schema['required']))
  for (const choice of listOf(schema['enum'])) writeAny(writer, 20, choice)
  const values = schema['additionalProperties']
  if (isObject(values)) writer.message(21, (item) => item.message(1, (inner) => writeSchema(inner, values)))
  else if (values === true) writer.message(21, (item) => item.flag(2, true))
  const type = textOf(schema['type'])
  if (type !== undefined) writer.message(22, (item) => item.text(1, type))
  const items = schema['items']
  if (isObject(items)) writer.message(23, (item) => item.message(1, (inner) => writeSchema(inner, items)))
  for (const part of listOf(schema['allOf']))
    if (isObject(part)) writer.message(24, (inner) => writeSchema(inner, part))
  if (isObject(schema['properties']))
    writer.message(25, (inner) => writeNamedSchemas(inner, schema['properties']))
  writeExtensions(writer, 31, schema)
}

function writeExtensions(writer: WireWriter, field: number, holder: Json): void {
  for (const [name, value] of Object.entries(holder)) {
    if (!name.startsWith('x-')) continue
    writer.message(field, (named) => {
      named.text(1, name)
      writeAny(named, 2, value)
    })
  }
}

function writeAny(writer: WireWriter, field: number, value: unknown): void {
  if (value !== undefined) writer.message(field, (any) => any.text(2, JSON.stringify(value)))
}
