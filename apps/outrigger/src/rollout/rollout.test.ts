import { controllerRevisionOf, type SidecarSet } from '@outrigger/api'
import type { ControllerRevision, Pod } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { createPaint } from '../rendering/paint.ts'
import { injectedPod, logs, webPod } from '../testdata/objects.ts'
import { changedFields } from './changed-fields.ts'
import { formatPreview } from './format-preview.ts'
import { parseDuration } from './parse-duration.ts'
import { whyNotReady } from './pod-readiness.ts'
import {
  formatHistory,
  historyOf,
  recordedContents,
  recordedSpec,
  revisionToRestore,
} from './revision-history.ts'
import { rolloutProgress, withAbsence } from './rollout-progress.ts'
import { judgeRollout, keptBack } from './rollout-state.ts'
import { previewUpdate } from './update-preview.ts'

type Strategy = SidecarSet['spec']['updateStrategy']

const namespaceOf = (name: string) => ({ name, labels: {} })
const version = (image: string, updateStrategy: Strategy = {}) =>
  logs({ containers: [{ name: 'logs', image }], updateStrategy })

function fleet(total: number, updated: number, updatedReady: number, next: SidecarSet): Pod[] {
  return Array.from({ length: total }, (_, i) =>
    injectedPod(
      webPod({ name: `web-${i}`, isReady: i >= updated || i < updatedReady }),
      i < updated ? next : version('logs:1'),
    ),
  )
}

describe('the budget of a rollout', () => {
  it.each<
    [
      total: number,
      updated: number,
      ready: number,
      partition: number | string,
      max: number | string,
      left: number,
      kept: number,
    ]
  >([
    [100, 30, 26, 0, 10, 6, 0],
    [100, 30, 20, 0, 10, 0, 0],
    [100, 30, 26, 0, '10%', 6, 0],
    [5, 0, 0, '99%', 5, 5, 4],
    [5, 0, 0, '1%', '5%', 1, 1],
    [3, 0, 0, '100%', 1, 1, 3],
  ])(
    'of %i pods, %i updated, %i of those ready, partition %s, maxUnavailable %s',
    (total, updated, ready, partition, maxUnavailable, left, kept) => {
      const next = version('logs:2', { partition, maxUnavailable })
      const state = judgeRollout(next, fleet(total, updated, ready, next), namespaceOf)
      expect(state).toMatchObject({
        matched: total,
        updated,
        updatedReady: ready,
        budget: { left },
        partition: { kept },
      })
    },
  )

  it('names the pods that use it up', () => {
    const next = version('logs:2')
    expect(judgeRollout(next, fleet(3, 1, 0, next), namespaceOf).blockers).toEqual([
      '2 pods: maxUnavailable 1 allows 1 unavailable, and 1 updated pod is not ready: shop/web-0',
    ])
  })
})

describe('a rollout that drains pods first', () => {
  const gate = 'outrigger.dev/in-service'
  const draining = (image: string): SidecarSet => {
    const set = version(image)
    const annotations = { ...set.metadata.annotations, 'outrigger.dev/drain-before-restart': '15s' }
    return { ...set, metadata: { ...set.metadata, annotations } }
  }
  const out = (pod: Pod): Pod => ({
    ...pod,
    status: {
      ...pod.status,
      conditions: [
        {
          type: gate,
          status: 'False',
          reason: 'Drained',
          message: 'SidecarSet logs restarts containers for content abc',
          lastTransitionTime: '2026-01-01T10:00:00Z',
          lastProbeTime: '2026-01-01T10:00:02Z',
        },
        { type: 'Ready', status: 'False' },
      ],
    },
  })
  const older = injectedPod(webPod({ name: 'older' }), version('logs:1'))
  const newer = injectedPod(webPod({ name: 'newer' }), draining('logs:1'))

  it('says which pods are drained, and which were made before', () => {
    const { pods } = previewUpdate(draining('logs:2'), draining('logs:1'), [older, newer], namespaceOf)
    expect(pods.map(({ reason }) => reason)).toEqual([
      'only images differ; drained for 15s first',
      'only images differ; without drain: made before its SidecarSet asked for one',
    ])
  })

  it('counts a drained pod against the budget, and says since when it is out and until when', () => {
    const { pods, budget, blockers } = judgeRollout(draining('logs:2'), [out(newer), older], namespaceOf)
    expect(pods.find(({ pod }) => pod === 'shop/newer')).toMatchObject({
      standing: 'changing',
      fate: 'draining',
      reason: 'out of service since 2026-01-01T10:00:00Z; its containers restart after 2026-01-01T10:00:17Z',
    })
    expect(budget).toMatchObject({ left: 0, unavailable: ['shop/newer'], drained: ['shop/newer'] })
    expect(blockers).toEqual([
      '1 pod: maxUnavailable 1 allows 1 unavailable, and 1 updated or drained pod is not ready: shop/newer',
    ])
    expect(whyNotReady(out(newer))).toBe(
      `readiness gate ${gate}: out of service since 2026-01-01T10:00:00Z, for SidecarSet logs`,
    )
  })
})

describe('what keeps a pod from being updated', () => {
  it.each<[why: string, next: SidecarSet, reason: RegExp, standing: string]>([
    ['a pause', version('logs:2', { paused: true }), /paused is set/, 'held back'],
    ['a partition', version('logs:2', { partition: 1 }), /partition 1 keeps 1 pod/, 'held back'],
    [
      'a selector',
      version('logs:2', { selector: { matchLabels: { canary: 'yes' } } }),
      /wants canary=yes, the pod has no label canary/,
      'held back',
    ],
    ['its strategy', version('logs:2', { type: 'NotUpdate' }), /NotUpdate: recreate/, 'recreate'],
    [
      'more than an image',
      logs({ containers: [{ name: 'logs', image: 'logs:1', args: ['-v'] }] }),
      /more than images/,
      'recreate',
    ],
    ['nothing', version('logs:2'), /next/, 'waiting'],
  ])('%s is named', (_, next, reason, standing) => {
    const { pods } = judgeRollout(next, [injectedPod(webPod(), version('logs:1'))], namespaceOf)
    expect(pods).toMatchObject([{ pod: 'shop/web', standing, reason: expect.stringMatching(reason) }])
  })

  it('a change of more than images is named where what the pod carries is recorded', () => {
    const next = logs({ containers: [{ name: 'logs', image: 'logs:2', args: ['-v'] }] })
    const carried = injectedPod(webPod(), version('logs:1'))
    const place = { namespace: 'kruise-system', revision: 1, collisionCount: 0 }
    const recorded = recordedContents([controllerRevisionOf(version('logs:1'), place)])
    expect(judgeRollout(next, [carried], namespaceOf, recorded).blockers).toEqual([
      '1 pod: more than images changed (spec.containers[logs].args), which no running pod can take: recreate the pod',
    ])
  })

  it.each<[status: object, spec: object, reason: string]>([
    [
      {
        containerStatuses: [
          {
            name: 'logs',
            ready: false,
            state: { waiting: { reason: 'ErrImagePull', message: 'no such image' } },
          },
        ],
      },
      {},
      'container logs waits: ErrImagePull (no such image)',
    ],
    [
      {
        containerStatuses: [
          {
            name: 'logs',
            ready: false,
            state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 20s' } },
            lastState: { terminated: { exitCode: 3 } },
          },
        ],
      },
      {},
      'container logs waits: CrashLoopBackOff (it ended with exit code 3)',
    ],
    [
      { containerStatuses: [{ name: 'logs', ready: false, state: { running: {} } }] },
      {},
      'container logs runs and is not ready; look at its readiness probe',
    ],
    [
      { initContainerStatuses: [{ name: 'native', ready: false, state: { terminated: { exitCode: 1 } } }] },
      { initContainers: [{ name: 'native', restartPolicy: 'Always' }] },
      'container native ended with exit code 1',
    ],
    [
      {},
      { readinessGates: [{ conditionType: 'example.com/a' }] },
      'readiness gate example.com/a is not True',
    ],
  ])('a pod that is not ready says why: %j %j', (status, spec, reason) => {
    const pod = webPod({ isReady: false })
    const bad = { ...pod, spec: { ...pod.spec, ...spec }, status: { ...pod.status, ...status } } as Pod
    expect(whyNotReady(bad)).toBe(reason)
    expect(whyNotReady(webPod())).toBeUndefined()
  })

  it('an image its node has not taken yet is told from a pod that is ready', () => {
    const next = version('logs:2')
    const pod = injectedPod(webPod(), next)
    const inPlace = '{"logs":{"lastContainerStatuses":{"logs":{"imageID":"sha256:1"}}}}'
    const status = { name: 'logs', image: 'logs:1', imageID: 'sha256:1', ready: true, restartCount: 0 }
    const changing: Pod = {
      ...pod,
      metadata: {
        ...pod.metadata,
        annotations: { ...pod.metadata.annotations, 'kruise.io/sidecarset-inplace-update-state': inPlace },
      },
      status: { ...pod.status, containerStatuses: [status] },
    }
    expect(judgeRollout(next, [changing], namespaceOf).pods).toMatchObject([
      { standing: 'changing', reason: expect.stringContaining('not started the new image of logs') },
    ])
  })
})

describe('rollout status', () => {
  const counted = (
    updatedPods: number,
    updatedReadyPods: number,
    strategy: Strategy = {},
    observedGeneration = 1,
  ) =>
    rolloutProgress({
      ...version('logs:2', strategy),
      status: { observedGeneration, matchedPods: 5, readyPods: 5, updatedPods, updatedReadyPods },
    })

  it.each([
    [counted(5, 5, {}, 0), false, 'Waiting for sidecarset spec update to be observed...'],
    [counted(2, 2), false, 'Waiting for rollout to finish: 2 out of 5 pods have been updated...'],
    [counted(5, 4), false, 'Waiting for rollout to finish: 4 of 5 updated pods are ready...'],
    [counted(5, 5), true, 'sidecarset "logs" successfully rolled out'],
    [
      counted(3, 3, { partition: 2 }),
      true,
      'partitioned roll out complete: 3 pods updated, 2 keep older content',
    ],
    [counted(5, 5, { partition: 2 }), true, 'sidecarset "logs" successfully rolled out'],
    [
      counted(2, 2, { paused: true }),
      false,
      'Waiting for rollout to finish: 2 out of 5 pods have been updated... (paused; outrigger rollout resume sidecarset/logs goes on)',
    ],
  ])('says %#', (progress, isDone, text) => {
    expect(progress).toMatchObject({ isDone, text })
  })

  it('keeps short what stands behind a bar', () => {
    expect(counted(2, 1, { paused: true }).note).toBe('ready, 2 updated, paused')
    expect(counted(2, 1, {}, 0).note).toBe('ready, not seen by the manager yet')
  })

  it('says why nothing moves, and not what was true of an earlier spec', () => {
    const condition = {
      type: 'Progressing',
      status: 'False',
      reason: 'NotUpgradable',
      message: '5 of 5 pods',
    } as const
    const stopped = (observedGeneration: number) =>
      rolloutProgress({
        ...version('logs:2'),
        status: { observedGeneration, matchedPods: 5, readyPods: 5, updatedPods: 0, conditions: [condition] },
      })
    expect(stopped(1)).toMatchObject({
      text: 'Waiting for rollout to finish: 0 out of 5 pods have been updated... (NotUpgradable: 5 of 5 pods)',
      note: 'ready, 0 updated, NotUpgradable',
      blocker: { reason: 'NotUpgradable', message: '5 of 5 pods' },
    })
    expect(stopped(0)).not.toHaveProperty('blocker')
  })

  it('says that nobody manages SidecarSets', () => {
    expect(withAbsence(counted(2, 2), 'no manager leads')).toMatchObject({
      text: 'Waiting for rollout to finish: 2 out of 5 pods have been updated... (no manager leads)',
      note: 'ready, no manager',
      blocker: { reason: 'NoManager' },
    })
  })

  it('does not wait for pods that a selector leaves out', () => {
    const chosen = version('logs:2', { selector: { matchLabels: { canary: 'yes' } } })
    const pods = [
      injectedPod(webPod({ name: 'a', labels: { app: 'web', canary: 'yes' } }), chosen),
      injectedPod(webPod({ name: 'b' }), version('logs:1')),
      injectedPod(webPod({ name: 'c' }), version('logs:1')),
    ]
    const status = {
      observedGeneration: 1,
      matchedPods: 3,
      readyPods: 3,
      updatedPods: 1,
      updatedReadyPods: 1,
    }
    expect(
      rolloutProgress({ ...chosen, status }, keptBack(judgeRollout(chosen, pods, namespaceOf))),
    ).toMatchObject({
      isDone: true,
      text: 'partitioned roll out complete: 1 pod updated, 2 keep older content',
    })
  })

  it('is refused where there are no rollouts', () => {
    expect(() => counted(0, 0, { type: 'NotUpdate' })).toThrow(
      /only available for updateStrategy.type RollingUpdate/,
    )
  })

  it.each([
    ['0', 0],
    ['90s', 90_000],
    ['1m30s', 90_000],
    ['1.5h', 5_400_000],
    ['250ms', 250],
  ])('takes %s for %i ms', (text, milliseconds) => {
    expect(parseDuration('--timeout')(text)).toBe(milliseconds)
  })

  it.each(['', '5', 'soon', '-1s', '1d'])('refuses %j as a duration', (text) => {
    expect(() => parseDuration('--timeout')(text)).toThrow(/--timeout .*is not a duration/)
  })
})

describe('the history of a SidecarSet', () => {
  const current = version('logs:2')
  const revisions = [
    revision('logs-old', 1, 'logs:1'),
    revision(judgeRollout(current, [], namespaceOf).revision, 2, 'logs:2'),
  ]

  it('lists revisions with their images and the pods that carry them', () => {
    const carrier = injectedPod(webPod(), current)
    expect(formatHistory(historyOf(current, revisions, [carrier]))).toBe(
      [
        'sidecarset.apps.kruise.io/logs',
        'REVISION  NAME                       CUSTOM-VERSION  PODS  IMAGES',
        '1         logs-old                   v1              0     logs=logs:1',
        `2         ${revisions[1]?.metadata.name} (current)  v1              1     logs=logs:2`,
        '',
      ].join('\n'),
    )
  })

  it('is undone to the revision before, or to one by number', () => {
    expect(revisionToRestore(current, revisions, 0).revision).toBe(1)
    expect(revisionToRestore(current, revisions, 2).revision).toBe(2)
    expect(() => revisionToRestore(current, revisions, 7)).toThrow(/no revision 7; choose one of 1, 2/)
    expect(() => revisionToRestore(current, [], 0)).toThrow(/no rollout history/)
  })

  it('takes out what the old revision did not have', () => {
    expect(recordedSpec(revision('x', 1, 'logs:1'))).toEqual({
      containers: [{ name: 'logs', image: 'logs:1' }],
      initContainers: null,
      volumes: null,
      imagePullSecrets: null,
      patchPodMetadata: null,
    })
  })
})

function revision(name: string, number: number, image: string): ControllerRevision {
  return {
    apiVersion: 'apps/v1',
    kind: 'ControllerRevision',
    metadata: { name, labels: { 'apps.kruise.io/sidecarset-custom-version': 'v1' } },
    revision: number,
    data: { spec: { $patch: 'replace', containers: [{ name: 'logs', image }], volumes: null } },
  }
}

describe('a preview', () => {
  const before = version('logs:1')
  const pods = [
    injectedPod(webPod({ name: 'carrier' }), before),
    webPod({ name: 'older' }),
    {
      ...injectedPod(webPod({ name: 'relabelled' }), before),
      metadata: { ...injectedPod(webPod({ name: 'relabelled' }), before).metadata, labels: { app: 'db' } },
    },
    webPod({ name: 'stranger', labels: { app: 'db' } }),
  ]

  it('puts every pod in one place, with a reason', () => {
    const preview = previewUpdate(version('logs:2'), before, pods, namespaceOf)
    expect(preview.totals).toMatchObject({
      'in place': 1,
      'newly matched': 1,
      'no longer matched': 1,
      'not selected': 1,
    })
    expect(preview.pods.map(({ pod, effect }) => [pod, effect])).toEqual([
      ['shop/carrier', 'in place'],
      ['shop/older', 'newly matched'],
      ['shop/relabelled', 'no longer matched'],
    ])
    expect(formatPreview(preview, createPaint(false))).toContain(
      '    shop/older       newly matched      gets the sidecars when it is recreated',
    )
  })

  it('says who makes pods anew that run without a SidecarSet which takes them in', () => {
    const { metadata, ...rest } = version('logs:2')
    const taker = {
      ...rest,
      metadata: {
        ...metadata,
        annotations: { ...metadata.annotations, 'outrigger.dev/missed-pods': 'evict-all' },
      },
    }
    const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: 'rs', controller: true }
    const alone = webPod({ name: 'alone' })
    const owned = webPod({ name: 'owned' })
    const preview = previewUpdate(
      taker,
      before,
      [alone, { ...owned, metadata: { ...owned.metadata, ownerReferences: [owner] } }],
      namespaceOf,
    )
    expect(preview.pods.map(({ reason }) => reason)).toEqual([
      'gets the sidecars when it is recreated: it is not evicted for that, as nothing would make a new one: it has no controller',
      'gets the sidecars when it is recreated: a manager with --evict-missed-pods evicts it for that',
    ])
  })

  it('counts as in place what only waits for its turn, unless turns never come', () => {
    const fleetOf = Array.from({ length: 3 }, (_, i) => injectedPod(webPod({ name: `web-${i}` }), before))
    const totals = (updateStrategy: Strategy) =>
      previewUpdate(version('logs:2', updateStrategy), before, fleetOf, namespaceOf).totals

    expect(totals({ maxUnavailable: 1 })).toMatchObject({ 'in place': 3, 'held back': 0 })
    expect(totals({ maxUnavailable: 1, partition: 1 })).toMatchObject({ 'in place': 2, 'held back': 1 })
    expect(totals({ maxUnavailable: 0 })).toMatchObject({ 'in place': 0, 'held back': 3 })
  })

  it('says so when nothing would change', () => {
    expect(previewUpdate(before, before, pods, namespaceOf)).toMatchObject({
      change: 'none',
      totals: { unchanged: 1 },
    })
    expect(formatPreview(previewUpdate(before, undefined, [], namespaceOf), createPaint(false))).toContain(
      'there are no pods',
    )
  })
})

describe('the fields that changed', () => {
  const fieldsOf = (before: SidecarSet, after: SidecarSet) =>
    changedFields(before.spec, after).map(({ field, reaches }) => `${field}: ${reaches}`)

  it('are named with what it takes to reach pods', () => {
    const before = logs({
      containers: [{ name: 'logs', image: 'logs:1', env: [{ name: 'A', value: '1' }] }],
      volumes: [{ name: 'v', emptyDir: {} }],
    })
    const after = logs({
      selector: { matchLabels: { app: 'db' } },
      containers: [
        { name: 'logs', image: 'logs:2', env: [{ name: 'A', value: '2' }] },
        { name: 'second', image: 'second:1' },
      ],
      volumes: [{ name: 'v', hostPath: { path: '/' } }],
      updateStrategy: { paused: true },
    })
    expect(fieldsOf(before, after)).toEqual([
      'spec.containers[logs].env[A].value: on recreation',
      'spec.containers[logs].image: in place',
      'spec.containers[second]: on recreation',
      'spec.selector.matchLabels.app: no pod',
      'spec.updateStrategy.paused: no pod',
      'spec.volumes[v].hostPath: on recreation',
    ])
    expect(fieldsOf(after, after)).toEqual([])
    expect(fieldsOf(version('logs:1', { paused: false }), version('logs:1'))).toEqual([])
  })

  it('do not reach running pods where nothing is updated, or native sidecars are not', () => {
    const native = (image: string) =>
      logs({
        containers: [],
        initContainers: [{ name: 'n1', image, restartPolicy: 'Always' }],
        updateStrategy: { type: 'NotUpdate' },
      })
    expect(fieldsOf(native('a:1'), native('a:2'))).toEqual(['spec.initContainers[n1].image: on recreation'])
    const frozen = { type: 'NotUpdate' } as const
    expect(fieldsOf(version('logs:1', frozen), version('logs:2', frozen))).toEqual([
      'spec.containers[logs].image: on recreation',
    ])
  })

  it('are found in lists whose items have no names of their own, and in another order', () => {
    const mounts = (...paths: string[]) =>
      logs({
        containers: [
          {
            name: 'logs',
            image: 'logs:1',
            volumeMounts: paths.map((mountPath) => ({ name: 'v', mountPath })),
          },
        ],
      })
    expect(fieldsOf(mounts('/a', '/b'), mounts('/a', '/c'))).toEqual([
      'spec.containers[logs].volumeMounts: on recreation',
    ])
    expect(fieldsOf(mounts('/a', '/b'), mounts('/b', '/a'))).toEqual([
      'spec.containers[logs].volumeMounts: on recreation',
    ])
  })

  it('are shown with their values, short ones only', () => {
    const preview = previewUpdate(version('logs:2', { paused: true }), version('logs:1'), [], namespaceOf)
    expect(formatPreview(preview, createPaint(false))).toContain(
      [
        '  Changes',
        '    spec.containers[logs].image  reaches running pods  "logs:1" -> "logs:2"',
        '    spec.updateStrategy.paused   changes no pod        added true',
        '',
      ].join('\n'),
    )
  })
})
