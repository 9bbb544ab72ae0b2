import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outriggerResources } from '@outrigger/api'
import type { ClusterClient } from '@outrigger/client'
import { type Deployment, type KubeObject, parseYaml, resources } from '@outrigger/kube'
import { startTestApiServer, type TestApiServer } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runRecorded } from '../../apps/outrigger/src/testing/recorded-run.ts'
import { type ManagerProcess, startManagerProcess } from '../fault/manager-process.ts'

let server: TestApiServer
let admin: ClusterClient
let folder: string

const outrigger = (...args: string[]) =>
  runRecorded(args, { workingDirectory: folder, variables: { KUBECONFIG: join(folder, 'kubeconfig') } })

beforeAll(async () => {
  server = await startTestApiServer()
  admin = await server.client()
  folder = await mkdtemp(join(tmpdir(), 'outrigger-install-'))
  await writeFile(join(folder, 'kubeconfig'), server.kubeconfig())
})

afterAll(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

describe('install', () => {
  it('prints what it would apply', async () => {
    const { out } = await outrigger(
      'install',
      '--image',
      'registry.example/outrigger:1',
      '--namespace',
      'ops',
    )
    const objects = out.split('---\n').map((text) => parseYaml(text) as KubeObject)
    const deployment = objects.find(({ kind }) => kind === 'Deployment') as Deployment
    expect(objects.map(({ kind }) => kind)).toContain('PodDisruptionBudget')
    expect(deployment.metadata.namespace).toBe('ops')
    expect(deployment.spec.replicas).toBe(2)
    expect(deployment.spec.template.spec?.containers[0]?.image).toBe('registry.example/outrigger:1')
  })

  it('applies it, says what became of each object, and changes nothing the second time', async () => {
    const first = (await outrigger('install', '--apply')).out.trim().split('\n')
    expect(first.every((line) => line.endsWith(' created'))).toBe(true)
    expect(first[0]).toMatch(/^customresourcedefinition/)
    const second = (await outrigger('install', '--apply')).out.trim().split('\n')
    expect(second.filter((line) => !line.endsWith(' unchanged'))).toEqual([])
    const third = (await outrigger('install', '--apply', '--replicas', '3')).out.trim().split('\n')
    expect(third.filter((line) => !line.endsWith(' unchanged'))).toEqual([
      'deployment.apps/outrigger-manager configured',
    ])
  })
})

describe('the manager as a process', () => {
  let manager: ManagerProcess

  it("starts with kruise-manager's flags, and names those that decide nothing once", async () => {
    manager = await startManagerProcess(server, [
      '--logtostderr=true',
      '--leader-election-namespace=kruise-system',
      '--v=4',
      '--sync-period=0',
      '--feature-gates=ImagePullJobGate=true,EnableSortSidecarContainerByName=true',
      '--logging-format=json',
    ])
    const warnings = manager.output().match(/^.*decide nothing here.*$/gm)
    expect(warnings).toHaveLength(1)
    expect(JSON.parse(warnings?.[0] ?? '{}')).toMatchObject({
      level: 'warning',
      ignored: '--logtostderr --sync-period ImagePullJobGate',
    })
  })

  it('answers probes and scrapers', async () => {
    expect(await manager.probe('/healthz')).toBe(200)
    expect(await manager.probe('/readyz')).toBe(200)
    const metrics = await manager.metrics()
    expect(metrics).toContain('outrigger_ready 1')
    expect(metrics).toMatch(/^outrigger_informer_watches_total\{resource="pods"\} [1-9]/m)
    expect(metrics).toMatch(
      /^rest_client_requests_total\{code="200",method="GET",host="127\.0\.0\.1:\d+"\} \d+/m,
    )
    expect(metrics).toContain('process_resident_memory_bytes')
  })

  it('does not start with a gate that nobody knows', async () => {
    const { error, exitCode } = await outrigger('manager', '--feature-gates=NoSuchGate=true')
    expect(exitCode).toBe(1)
    expect(error).toContain('--feature-gates names NoSuchGate')
  })

  it('is removed webhooks first, and definitions only when asked for', async () => {
    await manager.stop()
    expect((await outrigger('uninstall')).error).toContain('give --yes')
    const lines = (await outrigger('uninstall', '--yes')).out.trim().split('\n')
    expect(lines.slice(0, 2).every((line) => line.includes('webhookconfiguration'))).toBe(true)
    expect(lines.join()).not.toContain('customresourcedefinition')
    await admin.list(outriggerResources.sidecarSets)
    expect((await outrigger('uninstall', '--yes', '--crds')).out).toContain('customresourcedefinition')
    const { items } = await admin.list(resources.mutatingWebhookConfigurations)
    expect(items).toEqual([])
  })
})
