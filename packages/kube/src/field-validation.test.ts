import { describe, expect, test } from 'vitest'
import { builtinSchema, schemaOfKind } from './builtin-schema.ts'
import { checkTypes } from './check-types.ts'
import {
  duplicateFieldMessage,
  findUnknownFields,
  pruneUnknown,
  unknownFieldMessage,
} from './field-validation.ts'
import { JsonError, parseJson } from './parse-json.ts'
import { recordedSteps } from './testing/recorded.ts'
import { parseYaml } from './yaml.ts'

const configMap = schemaOfKind('', 'v1', 'ConfigMap')!
const deployment = schemaOfKind('apps', 'v1', 'Deployment')!

describe('field validation', () => {
  test('finds unknown and doubled fields as a real server does', () => {
    for (const step of recordedSteps('field-validation/strict').filter(({ method }) => method === 'POST')) {
      const text = typeof step.body === 'string' ? step.body : JSON.stringify(step.body)
      const { value, duplicates } = parseJson(text, { findDuplicates: true })
      const kind = (value as { kind: string }).kind
      const problems = [
        ...duplicates.map(duplicateFieldMessage),
        ...findUnknownFields(value, kind === 'Deployment' ? deployment : configMap).map(unknownFieldMessage),
      ]

      expect(step.answer.message).toBe(
        `${kind} in version "v1" cannot be handled as a ${kind}: strict decoding error: ${problems.join(', ')}`,
      )
    }
  })

  test('says which value has the wrong type in the words of Go', () => {
    const step = recordedSteps('http-errors/media-type').find(({ answer }) =>
      answer?.message?.includes('unmarshal'),
    )!
    expect(step.answer.message).toContain(`: ${checkTypes(parseYaml(step.body), configMap)}`)

    expect(checkTypes({ spec: { replicas: 'x' } }, deployment)).toBe(
      'json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32',
    )
    expect(checkTypes({ spec: { template: { spec: { containers: {} } } } }, deployment)).toBe(
      'json: cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type []v1.Container',
    )
    expect(checkTypes({ data: { a: 1 } }, configMap)).toBe(
      'json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
    )
    expect(checkTypes({ binaryData: { a: '*' } }, configMap)).toBe('illegal base64 data at input byte 0')
    expect(
      checkTypes(
        { spec: { renewTime: '2024-01-02T03:04:05Z' } },
        schemaOfKind('coordination.k8s.io', 'v1', 'Lease')!,
      ),
    ).toBe(
      'parsing time "2024-01-02T03:04:05Z" as "2006-01-02T15:04:05.000000Z07:00": cannot parse "Z" as ".000000"',
    )
    expect(checkTypes({ metadata: null, data: { a: 'x' } }, configMap)).toBeUndefined()
    expect(checkTypes({ spec: { replicas: 'two' } }, deployment, 'converter')).toBe(
      'unrecognized type: int32',
    )
    expect(checkTypes({ data: { a: 1 } }, configMap, 'converter')).toBe('cannot convert int64 to string')
    expect(
      checkTypes(
        { limits: { cpu: 1, memory: '1Gi' } },
        builtinSchema('io.k8s.api.core.v1.ResourceRequirements'),
      ),
    ).toBeUndefined()
  })

  test('prunes in place and names what it dropped', () => {
    const value = {
      data: { a: 'b' },
      extra: { deep: 1 },
      metadata: { name: 'x', labels: { any: 'thing' }, constructor: 1 },
    }

    expect(pruneUnknown(value, configMap)).toEqual(['extra', 'metadata.constructor'])
    expect(value).toEqual({ data: { a: 'b' }, metadata: { name: 'x', labels: { any: 'thing' } } })
  })

  test('keeps everything below what preserves unknown fields', () => {
    const schema = {
      type: 'object',
      properties: {
        open: {
          type: 'object',
          preservesUnknown: true,
          properties: { closed: { type: 'object', properties: {} } },
        },
        object: { type: 'object', isEmbeddedResource: true, properties: {} },
      },
    } as const
    const value = {
      open: { x: 1, closed: { y: 1 } },
      object: { kind: 'A', apiVersion: 'v1', metadata: {}, z: 1 },
    }

    expect(findUnknownFields(value, schema)).toEqual(['open.closed.y', 'object.z'])
  })

  test('finds doubled fields behind escapes, in lists and in brackets within texts', () => {
    const text =
      '{"a":[{"b":"{\\"b\\":1}","b":2},{"b":1}],"c\\"":{},"\\u0063\\"":[],"e":"\\\\","e":"\\\\\\""}'

    expect(parseJson(text, { findDuplicates: true }).duplicates).toEqual(['a[0].b', 'c"', 'e'])
    expect(parseJson(text).duplicates).toEqual([])
  })

  test('refuses what is no JSON and what is nested beyond all sense', () => {
    expect(() => parseJson('{')).toThrow(JsonError)
    expect(() => parseJson('['.repeat(5000) + ']'.repeat(5000))).toThrow('exceeded max depth')
  })

  test('schemas know themselves again below themselves', () => {
    const schema = builtinSchema('io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps')
    const deeper = schema.properties!['properties']!.values!

    expect(deeper.properties!['properties']!.values!.definition).toBe(schema.definition)
    expect(findUnknownFields({ properties: { a: { properties: { b: { typ: 'x' } } } } }, schema)).toEqual([
      'properties.a.properties.b.typ',
    ])
  })
})
