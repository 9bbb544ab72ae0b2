import { describe, expect, it } from 'vitest'
import { WireReader } from '../protobuf/wire-reader.ts'
import { encodeBinaryDocument } from './binary-document.ts'

/** The message as fields with their values: texts and messages as bytes, numbers as numbers. */
function fieldsOf(bytes: Buffer): { readonly field: number; readonly value: Buffer | number }[] {
  const reader = new WireReader(bytes)
  const fields = []
  while (!reader.isAtEnd) {
    const { field, wireType } = reader.tag()
    const value = wireType === 2 ? reader.bytes() : wireType === 1 ? reader.double() : Number(reader.varint())
    fields.push({ field, value })
  }
  return fields
}

/** The value found by going down these field numbers, the first of each. */
function at(bytes: Buffer, ...path: number[]): Buffer | number | undefined {
  let value: Buffer | number | undefined = bytes
  for (const field of path) {
    if (!Buffer.isBuffer(value)) return undefined
    value = fieldsOf(value).find((one) => one.field === field)?.value
  }
  return value
}

describe('the binary form of a Swagger document', () => {
  const document = encodeBinaryDocument({
    swagger: '2.0',
    info: { title: 'Kubernetes', version: 'v1' },
    paths: {
      '/api/v1/namespaces/{namespace}/pods': {
        parameters: [{ name: 'namespace', in: 'path', required: true, type: 'string' }],
        post: {
          operationId: 'createPod',
          parameters: [{ name: 'dryRun', in: 'query', type: 'string', uniqueItems: true }],
          'x-kubernetes-action': 'post',
          responses: { 200: { description: 'OK', schema: { $ref: '#/definitions/a' } } },
        },
      },
    },
    definitions: {
      a: {
        type: 'object',
        required: ['b'],
        properties: { b: { type: 'array', items: { type: 'integer', minimum: 1.5 } } },
        additionalProperties: { type: 'string', enum: ['x'], maxLength: 300 },
        'x-kubernetes-list-map-keys': ['name'],
      },
    },
  })

  it('holds definitions with their types, properties and extensions', () => {
    expect(String(at(document, 1))).toBe('2.0')
    expect(String(at(document, 9, 1, 1))).toBe('a')
    const schema = at(document, 9, 1, 2) as Buffer
    expect(String(at(schema, 22, 1))).toBe('object')
    expect(String(at(schema, 19))).toBe('b')
    expect(String(at(schema, 25, 1, 1))).toBe('b')
    const items = at(schema, 25, 1, 2, 23, 1) as Buffer
    expect(String(at(items, 22, 1))).toBe('integer')
    expect(at(items, 9)).toBe(1.5)
    expect(String(at(schema, 21, 1, 20, 2))).toBe('"x"')
    expect(at(schema, 21, 1, 11)).toBe(300)
    expect(String(at(schema, 31, 1))).toBe('x-kubernetes-list-map-keys')
    expect(String(at(schema, 31, 2, 2))).toBe('["name"]')
  })

  it('holds operations with their parameters and answers', () => {
    const item = at(document, 8, 2, 2) as Buffer
    expect(String(at(item, 9, 1, 2, 4, 4))).toBe('namespace')
    expect(at(item, 9, 1, 2, 4, 1)).toBe(1)
    const operation = at(item, 4) as Buffer
    expect(String(at(operation, 5))).toBe('createPod')
    expect(String(at(operation, 8, 1, 2, 3, 4))).toBe('dryRun')
    expect(at(operation, 8, 1, 2, 3, 20)).toBe(1)
    expect(String(at(operation, 9, 1, 1))).toBe('200')
    expect(String(at(operation, 9, 1, 2, 1, 2, 1, 1))).toBe('#/definitions/a')
    expect(String(at(operation, 13, 1))).toBe('x-kubernetes-action')
  })
})
