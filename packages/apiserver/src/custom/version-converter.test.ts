import type { KubeObject } from '@outrigger/kube'
import { expect, it } from 'vitest'
import { createStructuralSchema } from './structural-schema.ts'
import { createVersionConverter } from './version-converter.ts'

const signal = new AbortController().signal
const schemaWith = (...fields: string[]) =>
  createStructuralSchema({
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: Object.fromEntries(
          fields.map((name) => [name, { type: 'string', ...(name === 'mode' ? { default: 'on' } : {}) }]),
        ),
      },
    },
  })

it('drops what the wanted version does not know, fills in its defaults, and does so once', async () => {
  const schemas = new Map([
    ['x.io/v1', schemaWith('old', 'both')],
    ['x.io/v2', schemaWith('both', 'mode')],
  ])
  const convert = createVersionConverter(schemas, undefined)
  const stored = Object.freeze({
    apiVersion: 'x.io/v1',
    kind: 'Thing',
    metadata: { name: 'a' },
    spec: { old: 'o', both: 'b' },
  }) as unknown as KubeObject

  const [shown] = await convert([stored], 'x.io/v2', signal)
  expect(shown).toEqual({
    apiVersion: 'x.io/v2',
    kind: 'Thing',
    metadata: { name: 'a' },
    spec: { both: 'b', mode: 'on' },
  })
  expect((await convert([stored], 'x.io/v2', signal))[0]).toBe(shown)
  expect((await convert([stored], 'x.io/v1', signal))[0]).toBe(stored)
})
