import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { chartFiles } from './chart-files.ts'

/** Writes the definitions and rights of the Helm chart from the code. */
const chart = resolve(import.meta.dirname, '../charts/outrigger')
for (const [path, text] of chartFiles()) {
  const file = resolve(chart, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
