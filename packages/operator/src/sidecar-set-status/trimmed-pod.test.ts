import { defaultSidecarSet, type SidecarSet } from '@outrigger/api'
import { injectionAnnotations } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { isSettled, serviceOf } from '../pod-service/pod-service.ts'
import { patchBodyOf, resetChange, upgradeChange } from '../sidecar-set-rollout/pod-change.ts'
import { filebeat, pod } from '../testdata/objects.ts'
import { judged, viewOf } from './pod-view.ts'
import { TextPool, trimmedPod } from './trimmed-pod.ts'

const before = sidecarSet('filebeat:1')
const after = sidecarSet('filebeat:2')

function sidecarSet(image: string): SidecarSet {
  const hot = { upgradeType: 'HotUpgrade' as const, hotUpgradeEmptyImage: 'empty:1' }
  const made = filebeat({
    updateStrategy: { type: 'RollingUpdate' },
    patchPodMetadata: [{ annotations: { note: '{"b":2}' }, patchPolicy: 'MergePatchJson' }],
    containers: [
      { name: 'filebeat', image },
      { name: 'mesh', image: image.replace('filebeat', 'mesh'), upgradeStrategy: hot },
    ],
  })
  return defaultSidecarSet(made)
}

/** As large as a pod of a cluster is. */
function whole(): Pod {
  const running = { running: { startedAt: '2026-01-02T00:00:00Z' } }
  const statusOf = (name: string, image: string) => ({
    name,
    image,
    imageID: `${image}@sha256:1`,
    containerID: 'containerd://1',
    ready: true,
    restartCount: 1,
    state: running,
    lastState: { terminated: { exitCode: 1 } },
  })
  return pod({
    labels: { 'serverless.alibabacloud.com/virtual-node': 'true' },
    annotations: {
      ...injectionAnnotations({}, [before], '2026-01-01T10:00:00Z'),
      'kruise.io/sidecarset-working-hotupgrade-container': '{"mesh":"mesh-1"}',
      'version.sidecarset.kruise.io/mesh-1': '7',
      note: '{"a":1}',
      'kubectl.kubernetes.io/last-applied-configuration': '{}'.padEnd(5_000),
    },
    spec: {
      nodeName: 'vk',
      volumes: [{ name: 'data', emptyDir: {} }],
      initContainers: [
        { name: 'native', image: 'native:1', restartPolicy: 'Always', env: [{ name: 'A', value: 'b' }] },
      ],
      containers: [
        { name: 'web', image: 'web:1', env: [{ name: 'A', value: 'b' }] },
        { name: 'filebeat', image: 'filebeat:1', volumeMounts: [{ name: 'data', mountPath: '/data' }] },
        { name: 'mesh-1', image: 'mesh:1' },
        { name: 'mesh-2', image: 'empty:1' },
      ],
    },
    status: {
      phase: 'Running',
      podIP: '10.0.0.1',
      conditions: [
        { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-02T00:00:00Z' },
        { type: 'PodScheduled', status: 'True' },
      ],
      initContainerStatuses: [statusOf('native', 'native:1')],
      containerStatuses: [
        statusOf('web', 'web:1'),
        statusOf('filebeat', 'filebeat:1'),
        statusOf('mesh-1', 'mesh:1'),
        statusOf('mesh-2', 'empty:1'),
      ],
    },
  })
}

describe('a trimmed pod', () => {
  test('is judged and changed as the whole pod is', () => {
    const set = judged(after)
    const target = set.targets.of(whole())
    const trimmed = trimmedPod(whole(), new TextPool())

    const { pod: _, ...view } = viewOf(whole(), set) ?? { pod: undefined }
    expect(view).toMatchObject({ kind: 'waiting', isReady: true })
    expect(viewOf(trimmed, set)).toEqual({ ...view, pod: trimmed })
    const time = '2026-01-03T00:00:00Z'
    const change = upgradeChange(whole(), target, time, '8')
    expect(change.annotations['note']).toBe('{"a":1,"b":2}')
    expect(patchBodyOf(trimmed, upgradeChange(trimmed, target, time, '8'))).toEqual(
      patchBodyOf(whole(), change),
    )
    expect(resetChange(trimmed, target)).toEqual(resetChange(whole(), target))
  })

  test('is drained and taken back in as the whole pod is', () => {
    const pod = whole()
    const condition = {
      ...{ type: 'outrigger.dev/in-service', status: 'False', reason: 'Drained', observedGeneration: 4 },
      message: 'SidecarSet agents restarts containers for content abc; still in EndpointSlices web-1',
      lastTransitionTime: '2026-01-03T00:00:00Z',
      lastProbeTime: '2026-01-03T00:00:05Z',
    }
    const gated: Pod = {
      ...pod,
      metadata: { ...pod.metadata, generation: 5 },
      spec: { ...pod.spec, readinessGates: [{ conditionType: 'outrigger.dev/in-service' }] },
      status: {
        ...pod.status,
        observedGeneration: 4,
        conditions: [...(pod.status?.conditions ?? []), condition],
      },
    }
    const trimmed = trimmedPod(gated, new TextPool())
    expect(serviceOf(trimmed)).toEqual(serviceOf(gated))
    expect(serviceOf(gated)).toMatchObject({
      sidecarSet: 'agents',
      drainedAt: Date.parse('2026-01-03T00:00:05Z'),
    })
    const acted = { ...gated, status: { ...gated.status, observedGeneration: 5 } }
    for (const subject of [gated, acted]) expect(isSettled(trimmedPod(subject))).toBe(isSettled(subject))
    expect(isSettled(gated)).toBe(false)
    // Of a pod that carries nothing the gate is all that is looked at.
    const { annotations: _, ...metadata } = gated.metadata
    const foreign = trimmedPod({ ...gated, metadata })
    expect(serviceOf(foreign)).toEqual(serviceOf(gated))
  })

  test('keeps nothing that nobody looks at, and of a pod without SidecarSets not even its containers', () => {
    const text = JSON.stringify(trimmedPod(whole()))
    for (const dropped of [
      'volume',
      'env',
      'podIP',
      'PodScheduled',
      'containerID',
      'lastState',
      'last-applied',
    ])
      expect(text).not.toContain(dropped)

    const stranger = pod({ spec: { nodeName: 'vk', containers: [{ name: 'web', image: 'web:1' }] } })
    expect(trimmedPod(stranger).spec).toEqual({ containers: [], nodeName: 'vk' })
  })

  test('forgets texts rather than keeping ever more of them', () => {
    const texts = new TextPool(2)
    for (let i = 0; i < 1_000; i++) texts.same(`text ${i}`)
    expect(texts.same('text 999')).toBe('text 999')
    expect(texts.size).toBeLessThanOrEqual(2)
  })
})
