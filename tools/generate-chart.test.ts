import { readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseYaml } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { chartFiles } from './chart-files.ts'

const chart = resolve(import.meta.dirname, '../charts/outrigger')
const read = (path: string) => readFileSync(resolve(chart, path), 'utf8')

describe('the Helm chart', () => {
  it('has the definitions and rights of the code (else run npx tsx tools/generate-chart.ts)', () => {
    const files = chartFiles()
    for (const [path, text] of files) expect(read(path), path).toBe(text)
    const present = ['files/crds', 'files/rules'].flatMap((folder) =>
      readdirSync(resolve(chart, folder)).map((name) => `${folder}/${name}`),
    )
    expect(present.sort()).toEqual([...files.keys()].sort())
  })

  it('describes every value in its schema', () => {
    const schema: unknown = JSON.parse(read('values.schema.json'))
    expect(undescribed(parseYaml(read('values.yaml')), schema, '')).toEqual([])
  })
})

/** Paths of values that the schema does not name. */
function undescribed(value: unknown, schema: unknown, path: string): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return []
  const { properties } = schema as { properties?: Record<string, unknown> }
  if (properties === undefined) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const known = properties[key]
    return known === undefined ? [`${path}.${key}`] : undescribed(inner, known, `${path}.${key}`)
  })
}
