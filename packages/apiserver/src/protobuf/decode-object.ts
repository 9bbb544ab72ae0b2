import { formatMicroTime, formatTime } from '@outrigger/foundation'
import { definitionNameOfKind } from '@outrigger/kube'
import table from '../../data/kubernetes-1.36-protobuf.json' with { type: 'json' }
import { ProtobufError, WireReader } from './wire-reader.ts'

type Fields = Record<string, unknown>

/**
 * What a field of a message holds: `s` text, `b` bytes, `o` a boolean, `i` a whole number, `d` a number, or
 * the name of a message. `[]` before it: a list; `{}`: a map with texts as keys; `^`: the message's fields
 * stand beside the others in JSON.
 */
type FieldType = string

const messages = table.messages as unknown as Readonly<
  Record<string, Readonly<Record<string, readonly [name: string, type: FieldType]>>>
>

/** What Kubernetes puts before its protobuf messages. */
const prefix = Buffer.from('k8s\0')
const deepest = 100

/**
 * The object in a body of type `application/vnd.kubernetes.protobuf`, as its JSON form would have it. Fields
 * that Go writes though nobody set them (empty texts, zeros) are there; dropping them is the kind's business.
 * Typed Go clients, kubectl's own among them, send bodies in no other form.
 *
 * @throws ProtobufError
 */
export function decodeProtobufObject(body: Buffer): Fields {
  if (!body.subarray(0, prefix.length).equals(prefix))
    throw new ProtobufError(
      'provided data does not appear to be a protobuf message, expected prefix 6b 38 73 00',
    )
  const envelope = readEnvelope(new WireReader(body.subarray(prefix.length)))
  const slash = envelope.apiVersion.indexOf('/')
  const name = definitionNameOfKind(
    slash < 0 ? '' : envelope.apiVersion.slice(0, slash),
    envelope.apiVersion.slice(slash + 1),
    envelope.kind,
  )
  const { kind, apiVersion } = envelope
  if (name === undefined || messages[name] === undefined)
    throw new ProtobufError(
      `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
    )
  return { ...readMessage(envelope.raw, name, 0), kind, apiVersion }
}

interface Envelope {
  readonly apiVersion: string
  readonly kind: string
  readonly raw: Buffer
}

/** `runtime.Unknown`: the type, and the object as bytes. */
function readEnvelope(reader: WireReader): Envelope {
  let apiVersion = ''
  let kind = ''
  let raw: Buffer = Buffer.alloc(0)
  while (!reader.isAtEnd) {
    const { field, wireType } = reader.tag()
    if (wireType !== 2) reader.pass(wireType)
    else if (field === 1) {
      const type = new WireReader(reader.bytes())
      while (!type.isAtEnd) {
        const { field: part, wireType: partType } = type.tag()
        if (partType !== 2) type.pass(partType)
        else if (part === 1) apiVersion = type.bytes().toString()
        else if (part === 2) kind = type.bytes().toString()
        else type.bytes()
      }
    } else if (field === 2) raw = reader.bytes()
    else reader.bytes()
  }
  return { apiVersion, kind, raw }
}

function readMessage(bytes: Buffer, name: string, depth: number): Fields {
  if (depth > deepest) throw new ProtobufError('the message is nested too deeply')
  const fields = messages[name] ?? {}
  const reader = new WireReader(bytes)
  const object: Fields = {}
  while (!reader.isAtEnd) {
    const { field, wireType } = reader.tag()
    const known = fields[field]
    if (known === undefined) reader.pass(wireType)
    else readField(reader, known, object, depth)
  }
  return object
}

function readField(
  reader: WireReader,
  [field, type]: readonly [name: string, type: FieldType],
  object: Fields,
  depth: number,
): void {
  if (type.startsWith('[]')) {
    object[field] ??= []
    const list = object[field] as unknown[]
    list.push(readValue(reader, type.slice(2), depth))
  } else if (type.startsWith('{}')) {
    object[field] ??= {}
    const map = object[field] as Fields
    const [key, value] = readMapEntry(reader.bytes(), type.slice(2), depth)
    Object.defineProperty(map, key, { value, enumerable: true, configurable: true, writable: true })
  } else if (type.startsWith('^'))
    Object.assign(object, readMessage(reader.bytes(), type.slice(1), depth + 1))
  else {
    const value = readValue(reader, type, depth)
    // A target port is no pointer in Go, so 0 is what one that nobody set looks like.
    if (value !== undefined && !(field === 'targetPort' && value === 0)) object[field] = value
  }
}

function readMapEntry(bytes: Buffer, type: FieldType, depth: number): [key: string, value: unknown] {
  const reader = new WireReader(bytes)
  let key = ''
  let value: unknown = type === 's' || type === 'b' ? '' : undefined
  while (!reader.isAtEnd) {
    const { field, wireType } = reader.tag()
    if (field === 1) key = reader.bytes().toString()
    else if (field === 2) value = readValue(reader, type, depth)
    else reader.pass(wireType)
  }
  return [key, value]
}

function readValue(reader: WireReader, type: FieldType, depth: number): unknown {
  switch (type) {
    case 's':
      return reader.bytes().toString()
    case 'b':
      return reader.bytes().toString('base64')
    case 'o':
      return reader.varint() !== 0n
    case 'i':
      return Number(reader.varint())
    case 'd':
      return reader.double()
    default: {
      const bytes = reader.bytes()
      const special = specialMessages[type]
      return special === undefined ? readMessage(bytes, type, depth + 1) : special(bytes, type)
    }
  }
}

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.'
const definitions = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.'

/** Messages whose JSON form is not an object of their fields. */
const specialMessages: Readonly<Record<string, (bytes: Buffer, name: string) => unknown>> = {
  [`${meta}Time`]: (bytes) => readTime(bytes, formatTime),
  [`${meta}MicroTime`]: (bytes) => readTime(bytes, formatMicroTime),
  [`${meta}FieldsV1`]: (bytes) => readJson(rawMessage(bytes).get(1)),
  'io.k8s.apimachinery.pkg.runtime.RawExtension': (bytes) => readJson(rawMessage(bytes).get(1)),
  'io.k8s.apimachinery.pkg.api.resource.Quantity': (bytes) => textOf(rawMessage(bytes).get(1)),
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': readIntOrString,
  'io.k8s.api.authentication.v1.ExtraValue': readItems,
  'io.k8s.api.authorization.v1.ExtraValue': readItems,
  'io.k8s.api.certificates.v1.ExtraValue': readItems,
  [`${definitions}JSON`]: (bytes) => readJson(rawMessage(bytes).get(1)),
  [`${definitions}JSONSchemaPropsOrArray`]: (bytes) => readSchemas(bytes),
  [`${definitions}JSONSchemaPropsOrBool`]: (bytes) => {
    const { allows, schema } = readMessage(bytes, `${definitions}JSONSchemaPropsOrBool`, 1)
    return schema ?? allows
  },
  [`${definitions}JSONSchemaPropsOrStringArray`]: (bytes) => {
    const { schema, property } = readMessage(bytes, `${definitions}JSONSchemaPropsOrStringArray`, 1)
    return schema ?? property
  },
}

/** The last value of each field, as bytes or number. */
function rawMessage(bytes: Buffer): Map<number, Buffer | bigint> {
  const values = new Map<number, Buffer | bigint>()
  const reader = new WireReader(bytes)
  while (!reader.isAtEnd) {
    const { field, wireType } = reader.tag()
    if (wireType === 0) values.set(field, reader.varint())
    else if (wireType === 2) values.set(field, reader.bytes())
    else reader.pass(wireType)
  }
  return values
}

const textOf = (value: Buffer | bigint | undefined): string =>
  Buffer.isBuffer(value) ? value.toString() : ''

/** A time nobody set is an empty message. */
function readTime(bytes: Buffer, format: (milliseconds: number) => string): string | undefined {
  const values = rawMessage(bytes)
  const seconds = values.get(1)
  if (typeof seconds !== 'bigint') return undefined
  const nanoseconds = values.get(2)
  return format(Number(seconds) * 1000 + Number(typeof nanoseconds === 'bigint' ? nanoseconds : 0n) / 1e6)
}

function readJson(value: Buffer | bigint | undefined): unknown {
  const text = textOf(value)
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    throw new ProtobufError('a raw value is no JSON')
  }
}

function readIntOrString(bytes: Buffer): unknown {
  const values = rawMessage(bytes)
  if (values.get(1) === 1n) return textOf(values.get(3))
  const number = values.get(2)
  return typeof number === 'bigint' ? Number(number) : 0
}

function readItems(bytes: Buffer, name: string): unknown {
  return readMessage(bytes, name, 1)['items'] ?? []
}

function readSchemas(bytes: Buffer): unknown {
  const { schema, jSONSchemas } = readMessage(bytes, `${definitions}JSONSchemaPropsOrArray`, 1)
  return jSONSchemas ?? schema
}
