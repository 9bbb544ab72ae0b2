import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startTestCluster, type TestCluster } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasProgram, runProgram } from './program.ts'
import { widgetDefinition } from './widget-definition.ts'

const gadget = 'apiVersion: nope.io/v1\nkind: Gadget\nmetadata: {name: one}\n'
const widget = 'apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: one}\nspec: {replicas: 2}\n'

const deployment = (replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: nginx}]}
`

describe.skipIf(!hasProgram('kubectl', 'version', '--client'))('kubectl', () => {
  const directory = mkdtempSync(join(tmpdir(), 'clients-kubectl-'))
  let cluster: TestCluster

  beforeAll(async () => {
    cluster = await startTestCluster({ hasManager: false, nodes: [{ name: 'node-1', isVirtual: false }] })
    writeFileSync(join(directory, 'kubeconfig'), cluster.kubeconfig())
  })
  afterAll(async () => {
    await cluster.stop()
    rmSync(directory, { recursive: true })
  })

  const kubectl = (args: string, input = '') =>
    runProgram('kubectl', args.split(' '), {
      input,
      environment: { ...process.env, HOME: directory, KUBECONFIG: join(directory, 'kubeconfig') },
    })
  const ok = async (args: string, input = '') => {
    const { stdout, stderr, code } = await kubectl(args, input)
    expect(code, stderr).toBe(0)
    return stdout
  }

  it('says in its ordinary words that a kind is not known', async () => {
    for (const command of ['apply -f -', 'create -f -', 'apply --server-side -f -'])
      expect((await kubectl(command, gadget)).stderr).toContain(
        'no matches for kind "Gadget" in version "nope.io/v1"',
      )
  })

  it('explains custom kinds, in the new form and in the old', async () => {
    await ok('apply -f -', JSON.stringify(widgetDefinition))
    await ok('wait --for=condition=established crd/widgets.example.com --timeout=10s')
    expect(await ok('explain widget.spec.size')).toContain('How big.')
    expect(await ok('explain widget.spec --output=plaintext-openapiv2')).toContain('What is wished.')
    expect(await ok('explain pods.spec.containers --output=plaintext-openapiv2')).toContain('image')
    await ok('create -f -', widget)
    expect(await ok('scale widget/one --replicas=4')).toContain('scaled')
    const unknown = await kubectl('create -f -', widget.replace('one', 'two').replace('replicas', 'sizzle'))
    expect(unknown.stderr).toContain('unknown field "spec.sizzle"')
  })

  it('applies, compares, takes over, rolls and deletes', async () => {
    expect(await ok('apply -f -', deployment(1))).toContain('created')
    expect((await kubectl('diff -f -', deployment(1))).code).toBe(0)
    const difference = await kubectl('diff -f -', deployment(2))
    expect(difference.code).toBe(1)
    expect(difference.stdout).toContain('+  replicas: 2')
    await ok('rollout status deploy/web --timeout=20s')
    const conflict = await kubectl('apply --server-side --field-manager=other -f -', deployment(3))
    expect(conflict.stderr).toContain('conflict with "kubectl-client-side-apply"')
    await ok('apply --server-side --force-conflicts --field-manager=other -f -', deployment(3))
    await ok('wait --for=jsonpath={.status.readyReplicas}=3 deploy/web --timeout=20s')
    await ok('replace --force -f -', deployment(1))
    await ok('wait --for=condition=Available deploy/web --timeout=20s')
    expect(await ok('rollout restart deploy/web')).toContain('restarted')
    expect(await ok('delete deploy/web --wait --timeout=20s')).toContain('deleted')
  })

  it('asks who one is and what one may', async () => {
    expect(await ok('auth whoami')).toContain('system:masters')
    expect(await ok('auth can-i --list')).toContain('*.*')
    expect((await kubectl('auth can-i create pods --as=bob')).stdout).toBe('no\n')
    expect((await ok('create token default')).split('.')).toHaveLength(3)
    expect(JSON.parse(await ok('get --raw /'))).toMatchObject({
      paths: expect.arrayContaining(['/apis/apps/v1']),
    })
    expect(await ok('api-resources -o wide')).toContain('widgets')
  })
})
