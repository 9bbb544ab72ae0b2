import { resolve } from 'node:path'
import type { SidecarSetResourceBinding } from '@outrigger/api'
import type { Pod } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { createPaint } from '../rendering/paint.ts'
import { injectedPod, logs, pictureWith, webPod } from '../testdata/objects.ts'
import { formatPod } from './format-pod.ts'
import { formatSidecarSet } from './format-sidecar-set.ts'
import { explainPod } from './pod-explanation.ts'
import { explainSidecarSet } from './sidecar-set-explanation.ts'

const paint = createPaint(false)
const golden = (name: string) => resolve(import.meta.dirname, '../testdata/explanations', name)

const withConfig = {
  containers: [{ name: 'logs', image: 'logs:1', volumeMounts: [{ name: 'config', mountPath: '/etc/logs' }] }],
  volumes: [{ name: 'config', configMap: { name: 'kube-system/logs' } }],
}
const onVirtualNode = webPod({
  labels: { app: 'web', 'serverless.alibabacloud.com/virtual-node': 'true' },
  spec: { nodeName: 'vk' },
})
const binding: SidecarSetResourceBinding = {
  apiVersion: 'sidecarset.alibabacloud.com/v1alpha1',
  kind: 'SidecarSetResourceBinding',
  metadata: { name: 'logs', namespace: 'kube-system' },
  spec: {
    subjects: [{ kind: 'SidecarSet', name: 'logs' }],
    resourceRefs: [{ kind: 'ConfigMap', name: 'logs' }],
  },
}

describe('the explanation of a pod', () => {
  it('tells which SidecarSets apply, how current they are and what is in the way', async () => {
    const next = logs({
      ...withConfig,
      containers: [{ ...withConfig.containers[0], name: 'logs', image: 'logs:2' }],
    })
    const busy = injectedPod(webPod({ name: 'busy', isReady: false }), next)
    const pod = injectedPod(webPod(), logs(withConfig))
    const other = {
      ...logs({ selector: { matchLabels: { app: 'db' } } }),
      metadata: { ...logs().metadata, name: 'other' },
    }
    const late = {
      ...logs(),
      metadata: { ...logs().metadata, name: 'late', creationTimestamp: '2026-02-01T00:00:00Z' },
    }
    const explanation = explainPod(pod, pictureWith([next, other, late]), [pod, busy])
    await expect(formatPod(explanation, paint)).toMatchFileSnapshot(golden('pod.golden.txt'))
  })

  it.each<[string, Pod, RegExp]>([
    [
      'a node',
      {
        ...webPod({ spec: { nodeName: '' } }),
        status: {
          phase: 'Pending',
          conditions: [{ type: 'PodScheduled', status: 'False', message: '0/2 nodes are available' }],
        },
      },
      /a node: 0\/2 nodes are available/,
    ],
    ['the scheduler', webPod({ spec: { nodeName: '' } }), /the scheduler/],
    [
      'the label',
      webPod({ spec: { nodeName: 'vk' } }),
      /the label serverless.alibabacloud.com\/virtual-node/,
    ],
    [
      'a grant',
      injectedPod(onVirtualNode, logs(withConfig)),
      /a grant: .* create a SidecarSetResourceBinding in namespace kube-system/,
    ],
  ])('says that it waits for %s', (_, pod, text) => {
    expect(explainPod(pod, pictureWith([logs(withConfig)]), [pod]).waiting).toEqual([
      expect.stringMatching(text),
    ])
  })

  it('repeats what the manager says about a label that it cannot set', () => {
    const pod = webPod({ spec: { nodeName: 'vk' } })
    expect(explainPod(pod, pictureWith([logs()]), [pod], 'the API server refuses it').waiting).toEqual([
      expect.stringMatching(/decided on its sidecars; the manager says: the API server refuses it$/),
    ])
  })

  it('waits for nothing once it is granted', () => {
    const pod = injectedPod(onVirtualNode, logs(withConfig))
    expect(explainPod(pod, pictureWith([logs(withConfig)], [binding]), [pod])).toMatchObject({
      waiting: [],
      references: [{ decision: 'granted', object: 'kube-system/logs' }],
      revisions: [{ isCurrent: true, update: 'up to date' }],
    })
  })

  it('tells what was injected by a SidecarSet that is no more', () => {
    const pod = injectedPod(webPod(), logs())
    expect(explainPod(pod, pictureWith([]), [pod])).toMatchObject({
      sidecarSets: [{ sidecarSet: 'logs', standing: 'gone' }],
      revisions: [{ latest: '', update: 'never: the SidecarSet was deleted' }],
    })
  })
})

describe('the explanation of a SidecarSet', () => {
  it('counts its pods and tells what keeps the rollout from going on', async () => {
    const before = logs(withConfig)
    const next = {
      ...logs({
        ...withConfig,
        containers: [{ ...withConfig.containers[0], name: 'logs', image: 'logs:2' }],
        updateStrategy: { maxUnavailable: '40%', partition: 1 },
      }),
      status: { observedGeneration: 1, matchedPods: 4, updatedPods: 2, readyPods: 2 },
    }
    const pods = [
      injectedPod(webPod({ name: 'a' }), next),
      injectedPod(webPod({ name: 'b', isReady: false }), next),
      injectedPod(webPod({ name: 'c' }), before),
      injectedPod(webPod({ name: 'd' }), before),
      webPod({ name: 'never-injected' }),
      webPod({ name: 'stranger', labels: { app: 'db' } }),
    ]
    const explanation = explainSidecarSet(next, pictureWith([next]), pods)
    await expect(formatSidecarSet(explanation, paint)).toMatchFileSnapshot(golden('sidecar-set.golden.txt'))
  })
})
