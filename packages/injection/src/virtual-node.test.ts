import { describe, expect, it } from 'vitest'
import { applyPlan } from './apply-plan.ts'
import { expectedReferences, planPod } from './plan.ts'
import { authoredPodErrors, falseClaimErrors, injectedPodErrors, updatedPodErrors } from './pod-guard.ts'
import { facts, type PodDraft, pod, sidecarSet } from './testdata/builders.ts'
import { destinationOf } from './virtual-node.ts'

const filebeat = sidecarSet('filebeat', {
  selector: { matchLabels: { 'serverless.alibabacloud.com/virtual-node': 'true' } },
  updateStrategy: { type: 'NotUpdate' },
  containers: [
    { name: 'filebeat', image: 'filebeat:8', volumeMounts: [{ name: 'config', mountPath: '/etc/filebeat' }] },
  ],
  volumes: [{ name: 'config', configMap: { name: 'kube-system/filebeat-config' } }],
})
const eci = { labels: { 'alibabacloud.com/eci': 'true' } }
const virtualOnly = {
  affinity: {
    nodeAffinity: {
      requiredDuringSchedulingIgnoredDuringExecution: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'type', operator: 'In' as const, values: ['virtual-kubelet'] }] },
        ],
      },
    },
  },
}

describe('the destination of a pod', () => {
  it.each<[string, PodDraft, Record<string, string>, string | undefined]>([
    ['nothing', {}, {}, undefined],
    ['the label of ECI', eci, {}, 'pod label'],
    ['the label of ACS', { labels: { 'alibabacloud.com/acs': 'true' } }, {}, 'pod label'],
    ['the old label', { labels: { eci: 'true' } }, {}, 'pod label'],
    ['the label of its namespace', {}, { 'alibabacloud.com/eci': 'true' }, 'namespace label'],
    [
      'the old label of its namespace',
      {},
      { 'virtual-node-affinity-injection': 'enabled' },
      'namespace label',
    ],
    [
      'opting out of what its namespace says',
      { labels: { 'alibabacloud.com/eci': 'false' } },
      { 'alibabacloud.com/eci': 'true' },
      undefined,
    ],
    ['its node selector', { nodeSelector: { type: 'virtual-kubelet' } }, {}, 'node selector'],
    ['its affinity', virtualOnly, {}, 'node affinity'],
    ['the name of a virtual node', { nodeName: 'vk' }, {}, 'node name'],
    ['the name of another node', { nodeName: 'real', ...eci }, {}, undefined],
  ])('by %s', (_, draft, namespaceLabels, route) => {
    const destination = destinationOf(pod(draft), facts([], namespaceLabels))
    expect(destination.isCertain ? destination.route : undefined).toBe(route)
  })

  it('is its node for a pod of a DaemonSet', () => {
    const subject = pod(eci)
    subject.metadata.ownerReferences = [
      { apiVersion: 'apps/v1', kind: 'DaemonSet', name: 'd', uid: 'u', controller: true },
    ]
    expect(destinationOf(subject, facts([])).isCertain).toBe(false)
  })
})

describe('a pod for a virtual node', () => {
  it('is routed, labelled and injected in one plan', () => {
    const subject = pod(eci)
    const settled = applyPlan(subject, planPod(subject, facts([filebeat])))
    expect(settled.metadata.labels).toMatchObject({ 'serverless.alibabacloud.com/virtual-node': 'true' })
    expect(settled.spec.nodeSelector).toEqual({ type: 'virtual-kubelet' })
    expect(settled.spec.tolerations).toEqual([{ key: 'virtual-kubelet.io/provider', operator: 'Exists' }])
    expect(settled.spec.containers.map(({ name }) => name)).toEqual(['filebeat', 'web'])
    expect(settled.metadata.annotations?.['outrigger.dev/injected-references']).toBe(
      '[{"sidecarSet":"filebeat","kind":"ConfigMap","namespace":"kube-system","name":"filebeat-config","volume":"config"}]',
    )
  })

  it('keeps a toleration it has, and loses an affinity that would keep it away', () => {
    const tolerations = [{ operator: 'Exists' as const }]
    const subject = pod({
      ...eci,
      tolerations,
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: {
            nodeSelectorTerms: [
              { matchExpressions: [{ key: 'type', operator: 'NotIn', values: ['virtual-kubelet'] }] },
            ],
          },
        },
      },
    })
    const plan = planPod(subject, facts([]))
    const settled = applyPlan(subject, plan)
    expect(settled.spec.tolerations).toEqual(tolerations)
    expect(settled.spec.affinity).toEqual({ nodeAffinity: {} })
    expect(plan.warnings).toEqual([expect.stringContaining('affinity excludes virtual nodes')])
  })

  it('gets nothing more for staying on an ordinary node', () => {
    const subject = pod()
    expect(applyPlan(subject, planPod(subject, facts([filebeat])))).toEqual(subject)
  })
})

describe('what an author may not write', () => {
  const messages = (draft: PodDraft) =>
    authoredPodErrors(pod(draft)).map(({ field, detail }) => `${field}: ${detail}`)

  it('lets an ordinary pod pass', () => {
    expect(messages({ volumes: [{ name: 'v', secret: { secretName: 'own' } }] })).toEqual([])
  })

  it('is a reference to another namespace, in any place', () => {
    expect(
      messages({
        volumes: [
          { name: 'v', secret: { secretName: 'kube-system/root' } },
          { name: 'p', projected: { sources: [{ configMap: { name: 'kube-system/c' } }] } },
        ],
        containers: [{ name: 'web', envFrom: [{ secretRef: { name: 'shop/own' } }] }],
      }),
    ).toEqual([
      expect.stringMatching(
        /^spec.volumes\[0\].secret.secretName: names kube-system\/root; .*SidecarSetResourceBinding/,
      ),
      expect.stringMatching(/^spec.volumes\[1\].projected.sources\[0\].configMap.name/),
      expect.stringMatching(/^spec.containers\[0\].envFrom\[0\].secretRef.name: .*write own alone/),
    ])
  })

  it('is the label of virtual nodes', () => {
    expect(messages({ labels: { 'serverless.alibabacloud.com/virtual-node': 'true' } })).toEqual([
      expect.stringMatching(/^metadata.labels.*ask for a virtual node with the label alibabacloud.com\/eci/),
    ])
  })

  it('is the record of an injection; a copied pod is told what to remove', () => {
    const subject = pod(eci)
    const { metadata, spec } = applyPlan(subject, planPod(subject, facts([filebeat])))
    const copied = pod({ ...spec, annotations: { ...metadata.annotations } })
    expect(messages({ annotations: { 'outrigger.dev/injected-references': '[]' } })).toHaveLength(1)
    const [claim] = authoredPodErrors(copied)
    expect(claim?.detail).toContain('looks like a copy of a pod')
    expect(claim?.detail).toContain('the injected containers (filebeat)')
  })
})

describe('after injection', () => {
  const known = facts([filebeat])
  const subject = pod(eci)
  const settled = applyPlan(subject, planPod(subject, known))

  it('references that matching SidecarSets brought are right', () => {
    expect(injectedPodErrors(settled, expectedReferences(settled, known))).toEqual([])
  })

  it('a reference or a claim beyond them is refused', () => {
    const added = {
      ...settled,
      spec: {
        ...settled.spec,
        volumes: [...settled.spec.volumes!, { name: 'x', secret: { secretName: 'a/b' } }],
      },
    }
    expect(injectedPodErrors(added, expectedReferences(added, known))).toMatchObject([
      { field: 'spec.volumes[1].secret.secretName' },
    ])
    const key = 'outrigger.dev/injected-references'
    const claim = settled.metadata.annotations![key]!.replace('"volume":"config"', '"volume":"x"')
    const forged = { ...settled, metadata: { ...settled.metadata, annotations: { [key]: claim } } }
    expect(injectedPodErrors(forged, expectedReferences(forged, known)).length).toBeGreaterThan(0)
    expect(injectedPodErrors(settled, [])).not.toEqual([])
  })

  it('nobody else changes label, records or references in an update', () => {
    expect(updatedPodErrors(settled, settled)).toEqual([])
    const stripped = { ...settled, metadata: { ...settled.metadata, labels: {}, annotations: {} } }
    expect(updatedPodErrors(stripped, settled).map(({ field }) => field)).toEqual([
      'metadata.labels[serverless.alibabacloud.com/virtual-node]',
      'metadata.annotations[kruise.io/sidecarset-hash]',
      'metadata.annotations[kruise.io/sidecarset-hash-without-image]',
      'metadata.annotations[kruise.io/sidecarset-injected-list]',
      'metadata.annotations[outrigger.dev/injected-references]',
    ])
    const labelled = {
      ...settled,
      metadata: { ...settled.metadata, labels: { ...settled.metadata.labels, mine: 'x' } },
    }
    expect(updatedPodErrors(labelled, settled)).toEqual([])
  })
})

describe('records of injection', () => {
  const key = 'kruise.io/sidecarset-injected-list'
  const agents = sidecarSet('agents', { containers: [{ name: 'agent', image: 'a' }] })
  const known = facts([agents])
  const messages = (subject: ReturnType<typeof pod>) =>
    falseClaimErrors(subject, known).map(({ field, detail }) => `${field}: ${detail}`)

  it('are harmless on pods that stay on ordinary nodes', () => {
    const restored = pod({ annotations: { [key]: 'agents' } })
    expect(authoredPodErrors(restored, { goesToVirtualNode: false })).toEqual([])
    expect(authoredPodErrors(restored)).toHaveLength(1)
  })

  it('must be true where a pod reaches a virtual node late', () => {
    const subject = pod()
    expect(messages(applyPlan(subject, planPod(subject, known)))).toEqual([])
    expect(messages(pod({ annotations: { [key]: 'agents' } }))).toEqual([
      `metadata.annotations[${key}]: claims SidecarSet agents, but the pod has no container agent`,
    ])
    expect(messages(pod({ annotations: { [key]: 'old-set' } }))).toEqual([
      `metadata.annotations[${key}]: claims SidecarSet old-set, which is not one for this pod`,
    ])
  })
})
