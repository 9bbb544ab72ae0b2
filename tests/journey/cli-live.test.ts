import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { outriggerResources, type SidecarSet } from '@outrigger/api'
import { isAlreadyExists } from '@outrigger/client'
import { formatYaml, type Pod, resources } from '@outrigger/kube'
import { defaultNames } from '@outrigger/operator'
import {
  aDeployment,
  aNamespace,
  aSidecarSet,
  eventually,
  startTestCluster,
  type TestCluster,
} from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runRecorded } from '../../apps/outrigger/src/testing/recorded-run.ts'

const sidecarSets = outriggerResources.sidecarSets
let cluster: TestCluster
let folder: string

/** Runs a command of the program in this process, against the cluster of this test. */
const outrigger = (...args: string[]) =>
  runRecorded(args, { workingDirectory: folder, variables: { KUBECONFIG: join(folder, 'kubeconfig') } })

const logs = (image: string, args: readonly string[] = []) =>
  aSidecarSet({
    name: 'logs',
    spec: {
      updateStrategy: { type: 'RollingUpdate', maxUnavailable: 1 },
      containers: [{ name: 'logs', image, args: [...args] }],
    },
  })

const webPods = async () =>
  (await cluster.admin.list<Pod>(resources.pods, { namespace: 'default', labelSelector: 'app=web' })).items

beforeAll(async () => {
  cluster = await startTestCluster({ runtime: { pullDelay: 0, sandboxDelay: 0 } })
  folder = await mkdtemp(join(tmpdir(), 'outrigger-cli-'))
  await writeFile(join(folder, 'kubeconfig'), cluster.kubeconfig())
  // Where the manager keeps revisions; outrigger install makes it in a real cluster.
  await cluster.admin
    .create(resources.namespaces, aNamespace(defaultNames.namespace))
    .catch((error: unknown) => {
      if (!isAlreadyExists(error)) throw error
    })
  await cluster.admin.create(sidecarSets, logs('logs:1'))
  await eventually(
    'the manager knows the SidecarSet',
    async () => {
      const { status } = await cluster.admin.get<SidecarSet>(sidecarSets, { namespace: '', name: 'logs' })
      return status?.observedGeneration === 1
    },
    cluster,
  )
  await cluster.admin.create(resources.deployments, aDeployment({ name: 'web', replicas: 2 }))
  await eventually(
    'two pods are ready',
    async () => {
      const pods = await webPods()
      return pods.filter(isReady).length === 2
    },
    { ...cluster, timeout: 30_000 },
  )
})

afterAll(async () => {
  await cluster?.stop()
  if (folder !== undefined) await rm(folder, { recursive: true, force: true })
})

const isReady = ({ status }: Pod) =>
  status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false

describe('plan', () => {
  const planOf = async (image: string, ...args: string[]) => {
    await writeFile(join(folder, 'next.yaml'), formatYaml(logs(image, args)))
    const run = await outrigger('plan', '-f', 'next.yaml', '-o', 'json')
    expect(run).toMatchObject({ error: '', exitCode: 0 })
    return JSON.parse(run.out)[0]
  }

  it('tells changes in place from those that need new pods, and changes nothing', async () => {
    expect(await planOf('logs:1')).toMatchObject({ change: 'none', totals: { unchanged: 2 } })
    expect(await planOf('logs:2')).toMatchObject({ change: 'update', atOnce: 1, totals: { 'in place': 2 } })
    expect(await planOf('logs:2', '-v')).toMatchObject({ totals: { 'on recreation': 2 } })
    const stored = await cluster.admin.get<SidecarSet>(sidecarSets, { namespace: '', name: 'logs' })
    expect(stored.spec.containers?.[0]?.image).toBe('logs:1')
  })

  it('passes on why the server would refuse', async () => {
    await writeFile(
      join(folder, 'bad.yaml'),
      formatYaml(aSidecarSet({ name: 'bad', spec: { selector: {} } })),
    )
    expect(await outrigger('plan', '-f', 'bad.yaml')).toMatchObject({
      out: '',
      exitCode: 1,
      error: expect.stringMatching(
        /^outrigger: bad.yaml:1: the server would refuse it: .*spec.selector.*\n$/,
      ),
    })
  })
})

describe('a rollout', () => {
  it('is paused, explained, resumed and followed to its end', async () => {
    expect(await outrigger('rollout', 'pause', 'sidecarset/logs')).toEqual({
      out: 'sidecarset.apps.kruise.io/logs paused\n',
      error: '',
      exitCode: 0,
    })
    expect(await outrigger('rollout', 'pause', 'sidecarset/logs')).toMatchObject({
      exitCode: 1,
      error: 'outrigger: sidecarset.apps.kruise.io/logs is already paused\n',
    })
    const body = { spec: { containers: [{ name: 'logs', image: 'logs:2', args: [] }] } }
    await cluster.admin.patch(sidecarSets, { namespace: '', name: 'logs' }, { type: 'merge', body })

    const { rollout } = JSON.parse((await outrigger('explain', 'sidecarset', 'logs', '-o', 'json')).out)
    expect(rollout).toMatchObject({ matched: 2, updated: 0, isPaused: true })
    expect(rollout.blockers).toEqual([expect.stringMatching(/^2 pods: updateStrategy.paused is set/)])
    const name = (await webPods())[0]?.metadata.name
    expect((await outrigger('explain', 'pod', `default/${name}`)).out).toMatch(
      /latest is logs-\w+; in place, held back: updateStrategy.paused is set/,
    )

    expect(await outrigger('rollout', 'status', 'logs', '--timeout', '1s')).toMatchObject({
      exitCode: 1,
      error: expect.stringMatching(/^outrigger: timed out after 1 s: 2 pods: updateStrategy.paused is set/),
    })
    expect(await outrigger('rollout', 'status', 'logs', '--watch=false')).toMatchObject({
      exitCode: 0,
      error: '',
    })

    expect(await outrigger('rollout', 'resume', 'sidecarset/logs')).toMatchObject({ exitCode: 0 })
    const followed = await outrigger('rollout', 'status', 'sidecarset/logs', '--timeout', '90s')
    expect(followed).toMatchObject({ exitCode: 0, error: '' })
    expect(followed.out.trimEnd().split('\n').at(-1)).toBe('sidecarset "logs" successfully rolled out')
    expect((await webPods()).map(({ spec }) => spec.containers[0]?.image)).toEqual(['logs:2', 'logs:2'])
    expect(JSON.parse((await outrigger('rollout', 'status', 'logs', '-o', 'json')).out)).toEqual({
      sidecarSet: 'logs',
      isDone: true,
      message: 'sidecarset "logs" successfully rolled out',
      matched: 2,
      updated: 2,
      updatedReady: 2,
      target: 2,
      isPaused: false,
      isObserved: true,
    })
  })
})

describe('the history of a SidecarSet', () => {
  it('is listed and undone, and undoing is a rollout like any other', async () => {
    const history = await outrigger('rollout', 'history', 'sidecarset/logs')
    expect(history).toMatchObject({ error: '', exitCode: 0 })
    expect(history.out).toMatch(/^1 +logs-\w+ +<none> +0 +logs=logs:1$/m)
    expect(history.out).toMatch(/^2 +logs-\w+ \(current\) +<none> +2 +logs=logs:2$/m)
    expect((await outrigger('rollout', 'history', 'logs', '--revision', '1')).out).toContain('image: logs:1')
    expect(JSON.parse((await outrigger('rollout', 'history', 'logs', '-o', 'json')).out)).toMatchObject({
      sidecarSet: 'logs',
      revisions: [
        { revision: 1, isCurrent: false, pods: 0, images: [{ container: 'logs', image: 'logs:1' }] },
        { revision: 2, isCurrent: true, pods: 2, images: [{ container: 'logs', image: 'logs:2' }] },
      ],
    })
    const dry = await outrigger('rollout', 'undo', 'logs', '--dry-run', '-o', 'json')
    expect(JSON.parse(dry.out)).toMatchObject({
      sidecarSet: 'logs',
      revision: 1,
      isChanged: true,
      dryRun: true,
    })

    expect(await outrigger('rollout', 'undo', 'logs', '--dry-run')).toMatchObject({
      out: 'sidecarset.apps.kruise.io/logs rolled back to revision 1 (server dry run)\n',
    })
    expect(await outrigger('rollout', 'undo', 'logs', '--to-revision', '2')).toMatchObject({
      out: expect.stringContaining('skipped rollback (current content already matches revision 2)'),
    })
    expect(await outrigger('rollout', 'undo', 'sidecarset/logs')).toEqual({
      out: 'sidecarset.apps.kruise.io/logs rolled back to revision 1\n',
      error: '',
      exitCode: 0,
    })
    expect(await outrigger('rollout', 'status', 'logs', '--timeout', '90s')).toMatchObject({ exitCode: 0 })
    expect((await webPods()).map(({ spec }) => spec.containers[0]?.image)).toEqual(['logs:1', 'logs:1'])
    expect(await outrigger('rollout', 'undo', 'logs', '--to-revision', '9')).toMatchObject({
      exitCode: 1,
      error: expect.stringMatching(/^outrigger: SidecarSet logs has no revision 9; choose one of /),
    })
  })
})

describe('explain', () => {
  it('says why a pod that matches has nothing', async () => {
    await cluster.admin.create(sidecarSets, aSidecarSet({ name: 'later' }))
    const name = (await webPods())[0]?.metadata.name
    const { sidecarSets: standings } = JSON.parse(
      (await outrigger('explain', 'pod', name ?? '', '-n', 'default', '-o', 'json')).out,
    )
    expect(standings).toMatchObject([
      { sidecarSet: 'later', standing: 'missing', reason: expect.stringContaining('kubectl delete pod ') },
      { sidecarSet: 'logs', standing: 'injected' },
    ])
  })

  it('names what is not there', async () => {
    expect(await outrigger('explain', 'pod', 'default/nobody')).toMatchObject({
      exitCode: 1,
      error: expect.stringMatching(/^outrigger: there is no pod default\/nobody; /),
    })
    expect(await outrigger('explain', 'sidecarset', 'nothing')).toMatchObject({
      exitCode: 1,
      error: expect.stringMatching(/^outrigger: there is no SidecarSet nothing; /),
    })
  })
})
