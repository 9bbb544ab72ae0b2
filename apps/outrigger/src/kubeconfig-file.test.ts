import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatYaml, parseYaml } from '@outrigger/kube'
import { afterAll, expect, test } from 'vitest'
import { writeKubeconfig } from './kubeconfig-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'outrigger-kubeconfig-'))
afterAll(() => rmSync(folder, { recursive: true }))
const content = { server: 'https://127.0.0.1:6443', certificateAuthority: 'PEM', token: 'secret' }

test('a namespace set with kubectl, which drops our comment, stays', async () => {
  const path = join(folder, 'ours')
  await writeKubeconfig(path, content)
  const rewritten = parseYaml(readFileSync(path, 'utf8')) as {
    contexts: [{ context: { namespace?: string } }]
  }
  rewritten.contexts[0].context.namespace = 'demo'
  writeFileSync(path, formatYaml(rewritten))

  await writeKubeconfig(path, { ...content, server: 'https://127.0.0.1:7443' })
  expect(readFileSync(path, 'utf8')).toMatch(/namespace: demo/)
})

test.each([
  ['another cluster', 'clusters: [{name: prod}]\nusers: [{name: me}]'],
  ['ours among others', 'clusters: [{name: outrigger}, {name: prod}]\nusers: [{name: outrigger-admin}]'],
  ['no YAML', '{"clusters": ['],
])('a file that names %s is left alone', async (_, text) => {
  const path = join(folder, 'theirs')
  writeFileSync(path, text)
  await expect(writeKubeconfig(path, content)).rejects.toThrow('was not written by outrigger')
  expect(readFileSync(path, 'utf8')).toBe(text)
})
