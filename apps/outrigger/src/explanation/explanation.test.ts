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
    expect(
      explainPod(pod, pictureWith([logs()]), [pod], { refusal: 'the API server refuses it' }).waiting,
    ).toEqual([
      expect.stringMatching(/decided on its sidecars; the manager says: the API server refuses it$/),
    ])
    expect(
      explainPod(pod, pictureWith([logs()]), [pod], { managerAbsence: 'no manager leads' }).waiting,
    ).toEqual([expect.stringMatching(/decided on its sidecars; no manager leads$/)])
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

describe('a pod that matches a SidecarSet and does not carry it', () => {
  const policy = 'outrigger.dev/failure-policy'
  const withPolicy = (value?: string) => ({
    ...logs(),
    metadata: {
      ...logs().metadata,
      ...(value && { annotations: { ...logs().metadata.annotations, [policy]: value } }),
    },
  })
  const reasonFor = (pod: Pod, sidecarSet = withPolicy()) =>
    explainPod(pod, pictureWith([sidecarSet]), [pod]).sidecarSets[0]?.reason
  const owned = (pod: Pod): Pod => ({
    ...pod,
    metadata: {
      ...pod.metadata,
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'web', uid: '1', controller: true },
      ],
    },
  })

  it('is told how it could come to that under its failure policy', () => {
    expect(reasonFor(webPod())).toMatch(/or no webhook was registered then; /)
    expect(reasonFor(webPod(), withPolicy('Ignore'))).toMatch(
      /no manager answered then, which its failure policy allows; /,
    )
    const inKubeSystem = { ...webPod(), metadata: { ...webPod().metadata, namespace: 'kube-system' } }
    expect(reasonFor(inKubeSystem)).toMatch(/no manager answered then/)
    expect(reasonFor(inKubeSystem, withPolicy('Fail'))).toMatch(/no webhook was registered then/)
  })

  it('is told how to have it made anew', () => {
    expect(reasonFor(owned(webPod()))).toMatch(
      /; kubectl delete pod web -n shop, and its owner makes a new one$/,
    )
    expect(reasonFor(webPod())).toMatch(/; delete the pod and create it again; nobody else does$/)
  })
})

describe('a pod among thousands of SidecarSets', () => {
  it('is told of those that select it, and of a few others', () => {
    const strangers = Array.from({ length: 2_000 }, (_, i) => ({
      ...logs({ selector: { matchLabels: { app: `app-${i}` } } }),
      metadata: { ...logs().metadata, name: `a-stranger-${String(i).padStart(4, '0')}` },
    }))
    const pod = injectedPod(webPod(), logs())
    const explanation = explainPod(pod, pictureWith([...strangers, logs()]), [pod])
    expect(explanation.sidecarSets).toHaveLength(2_001)
    const lines = formatPod(explanation, paint).split('\n')
    expect(lines.indexOf('    injected  logs             selector and namespace match')).toBe(
      lines.indexOf('  SidecarSets') + 1,
    )
    expect(lines).toContain('    and 1990 more that select other labels (-o json lists all)')
    expect(lines.length).toBeLessThan(25)
  })
})

describe('a running pod', () => {
  it('waits for the end of sidecars that outlive its own containers', () => {
    const ended = (name: string) => ({
      ...{ name, image: 'a', imageID: 'a', ready: false, restartCount: 0 },
      state: { terminated: { exitCode: 0 } },
    })
    const job = injectedPod(webPod({ spec: { restartPolicy: 'Never' } }), logs())
    const running = job.status?.containerStatuses?.filter(({ name }) => name !== 'web') ?? []
    const alone: Pod = { ...job, status: { ...job.status, containerStatuses: [...running, ended('web')] } }
    expect(explainPod(alone, pictureWith([logs()]), [alone]).waiting).toEqual([
      expect.stringMatching(
        /^the end of logs, while the pod's own containers have ended; inject .* native sidecars/,
      ),
    ])
    const over: Pod = { ...job, status: { ...job.status, containerStatuses: [ended('logs'), ended('web')] } }
    expect(explainPod(over, pictureWith([logs()]), [over]).waiting).toEqual([])
    expect(explainPod(job, pictureWith([logs()]), [job]).waiting).toEqual([])
  })

  it('waits for readiness gates by name', () => {
    const gated = webPod({
      isReady: false,
      spec: { readinessGates: [{ conditionType: 'example.com/drained' }] },
    })
    expect(explainPod(gated, pictureWith([]), [gated]).waiting).toEqual([
      'readiness gate example.com/drained is not True',
    ])
  })
})

describe('the explanation of a SidecarSet', () => {
  it.each<[annotation: string | undefined, spec: object, policy: string, text: RegExp]>([
    [
      undefined,
      {},
      'Fail',
      /^new pods are not created, except in kube-system \(the default; .*: Ignore lets them through\)$/,
    ],
    ['Fail', {}, 'Fail', /^new pods are not created, not even in kube-system /],
    ['Ignore', {}, 'Ignore', /^new pods are created without it /],
    ['ignore', {}, 'Fail', /"ignore" counts as Fail/],
    [
      'Ignore',
      { selector: { matchLabels: { 'serverless.alibabacloud.com/virtual-node': 'true' } } },
      'Fail',
      /^new pods wait for it: virtual nodes start none/,
    ],
  ])('says what becomes of its pods while the manager is away (%s, %j)', (value, spec, policy, text) => {
    const sidecarSet = logs(spec)
    const annotations = {
      ...sidecarSet.metadata.annotations,
      ...(value && { 'outrigger.dev/failure-policy': value }),
    }
    const stated = { ...sidecarSet, metadata: { ...sidecarSet.metadata, annotations } }
    expect(explainSidecarSet(stated, pictureWith([stated]), []).withoutManager).toEqual({
      policy,
      text: expect.stringMatching(text),
    })
  })

  it('speaks of the budget only while somebody waits for it', () => {
    const pods = [injectedPod(webPod(), logs())]
    const shown = (strategy: object) => {
      const next = logs({ containers: [{ name: 'logs', image: 'logs:2' }], updateStrategy: strategy })
      return formatSidecarSet(explainSidecarSet(next, pictureWith([next]), pods), paint)
    }
    expect(shown({})).toContain('may change now')
    expect(shown({ paused: true })).not.toContain('may change now')
    expect(shown({ partition: 1 })).not.toContain('may change now')
  })

  it('tells pods that are never injected from those that are missing it', () => {
    const own = { ...webPod(), metadata: { ...webPod().metadata, namespace: 'kruise-system' } }
    const explanation = explainSidecarSet(logs(), pictureWith([logs()]), [own, webPod()])
    expect(explanation).toMatchObject({
      missing: ['shop/web'],
      leftAlone: [{ namespace: 'kruise-system', pods: 1 }],
    })
    expect(formatSidecarSet(explanation, paint)).toContain(
      "  Pods that match and are never injected\n    1 pod: namespace kruise-system is the manager's own\n",
    )
  })

  it('says that nobody manages it', () => {
    const explanation = explainSidecarSet(logs(), pictureWith([logs()]), [], {
      managerAbsence: 'no manager leads',
    })
    expect(formatSidecarSet(explanation, paint)).toContain('  Trouble\n    no manager leads\n')
  })

  it('names the pod to look at when others wait for it', () => {
    const next = logs({ containers: [{ name: 'logs', image: 'logs:2' }] })
    const pods = [
      injectedPod(webPod({ name: 'a', isReady: false }), next),
      injectedPod(webPod({ name: 'b' }), logs()),
    ]
    expect(formatSidecarSet(explainSidecarSet(next, pictureWith([next]), pods), paint)).toContain(
      '    outrigger explain pod shop/a says more about the first of them\n',
    )
  })

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
