import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { outriggerResources } from '@outrigger/api'
import { isAlreadyExists } from '@outrigger/client'
import { resources } from '@outrigger/kube'
import { defaultNames } from '@outrigger/operator'
import { aNamespace, eventually, startTestCluster, type TestCluster } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ClauseVerdict } from '../../apps/outrigger/src/conformance/hot-upgrade-clauses.ts'
import { runRecorded } from '../../apps/outrigger/src/testing/recorded-run.ts'
import { startOutrigger } from '../story/outrigger-process.ts'

const example = resolve(import.meta.dirname, '../../examples/hot-upgrade/1-sidecarset.yaml')

describe('a trial of a hot upgrade', () => {
  let cluster: TestCluster
  let folder: string

  beforeAll(async () => {
    const behaviors = [{ image: /broken/, startError: 'exec format error' }]
    cluster = await startTestCluster({ runtime: { pullDelay: 0, sandboxDelay: 0, behaviors } })
    folder = await mkdtemp(join(tmpdir(), 'outrigger-conformance-'))
    writeFileSync(join(folder, 'kubeconfig'), cluster.kubeconfig())
    await cluster.admin
      .create(resources.namespaces, aNamespace(defaultNames.namespace))
      .catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error
      })
  })
  afterAll(async () => {
    await cluster?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const flags = (...more: string[]) => [
    ...['conformance', 'hot-upgrade', '-f', example, '--exec', 'true', ...more],
    ...['--kubeconfig', join(folder, 'kubeconfig')],
  ]
  const attempt = (...more: string[]) => runRecorded(flags(...more), { workingDirectory: folder })

  /** What a trial has made and not removed. */
  const leftovers = async () => {
    const [namespaces, sidecarSets] = await Promise.all([
      cluster.admin.list(resources.namespaces, { labelSelector: 'outrigger.dev/conformance' }),
      cluster.admin.list(outriggerResources.sidecarSets),
    ])
    return [...namespaces.items, ...sidecarSets.items].map(({ metadata }) => metadata.name)
  }

  it('goes through all upgrades and leaves nothing behind', async () => {
    const { out, error, exitCode } = await attempt('--to', 'busybox:1.37')

    expect(out + error).toContain('12 clauses: 11 held, 1 left out\n')
    expect(exitCode).toBe(0)
    expect(await leftovers()).toEqual([])
  })

  it('ends where the new image does not start, and says why', async () => {
    const { out, exitCode } = await attempt('--to', 'example/broken:2', '--timeout', '8s', '-o', 'json')

    const { clauses, isHeld } = JSON.parse(out) as { clauses: ClauseVerdict[]; isHeld: boolean }
    const outcomes = Object.fromEntries(clauses.map(({ clause, outcome }) => [clause, outcome]))
    expect(outcomes).toMatchObject({ serves: 'held', 'starts-beside': 'failed', 'hands-over': 'not tried' })
    expect(clauses.find(({ outcome }) => outcome === 'failed')?.reason).toMatch(
      /^waited 8 s for mesh-2 to be ready with example\/broken:2: container mesh-2 /,
    )
    expect([isHeld, exitCode]).toEqual([false, 1])
    expect(await leftovers()).toEqual([])
  })

  it('says what an event warned of, where the pod does not start', async () => {
    const mounted = readFileSync(example, 'utf8').concat(
      '      volumeMounts: [{name: settings, mountPath: /settings}]\n',
      '  volumes: [{name: settings, configMap: {name: settings}}]\n',
    )
    writeFileSync(join(folder, 'mounted.yaml'), mounted)
    const args = ['--to', 'busybox:1.37', '--exec', 'true', '--timeout', '6s']
    const { out, exitCode } = await runRecorded(
      [
        'conformance',
        'hot-upgrade',
        '-f',
        'mounted.yaml',
        ...args,
        '--kubeconfig',
        join(folder, 'kubeconfig'),
      ],
      { workingDirectory: folder },
    )

    expect(out).toMatch(
      /^failed +serves +waited 6 s for the pod to be ready: .*FailedMount .*"settings" not found/m,
    )
    expect(exitCode).toBe(1)
    expect(await leftovers()).toEqual([])
  })

  it('that is interrupted removes what it has made', async () => {
    const trial = startOutrigger(flags('--to', 'busybox:1.37'), process.env)
    await eventually('a pod runs', async () => (await cluster.admin.list(resources.pods)).items.length > 0, {
      ...cluster,
      timeout: 30_000,
    })
    trial.child.kill('SIGINT')

    expect(await trial.ended).toBe(130)
    expect(await leftovers()).toEqual([])
  })

  it('makes nothing where the request cannot be understood', async () => {
    expect(await attempt('--to', 'busybox:1.36')).toEqual({
      out: '',
      error: 'outrigger: busybox:1.36 is what container mesh begins with; name another image with --to\n',
      exitCode: 1,
    })
  })
})

it('is not begun in a cluster without a manager', async () => {
  const cluster = await startTestCluster({ hasManager: false })
  const folder = await mkdtemp(join(tmpdir(), 'outrigger-conformance-'))
  writeFileSync(join(folder, 'kubeconfig'), cluster.kubeconfig())
  const args = ['conformance', 'hot-upgrade', '-f', example, '--to', 'busybox:1.37', '--exec', 'true']
  const run = await runRecorded([...args, '--kubeconfig', join(folder, 'kubeconfig')], {
    workingDirectory: folder,
  })
  await cluster.stop()
  await rm(folder, { recursive: true, force: true })

  expect(run.error).toBe('outrigger: no manager has registered webhooks here; outrigger install --apply\n')
  expect(run.exitCode).toBe(1)
})
