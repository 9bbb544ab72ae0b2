import { silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { SidecarSetIndex } from '@outrigger/injection'
import { applyJsonPatch, type Pod } from '@outrigger/kube'
import type { AdmissionAnswer, AdmissionRequest } from '@outrigger/webhook'
import { describe, expect, it } from 'vitest'
import { FedInformer, MemoryCluster } from '../../testdata/memory-cluster.ts'
import { filebeat, namespace, pod, virtualNode } from '../../testdata/objects.ts'
import { createPodFacts } from './pod-facts.ts'
import { createPodMutator, createPodValidator } from './pod-handlers.ts'

const facts = createPodFacts({
  client: new MemoryCluster(),
  clock: new ManualClock(),
  sidecarSets: new SidecarSetIndex([filebeat()]),
  namespaces: new FedInformer([namespace('shop')]).store,
  virtualNodes: new FedInformer([virtualNode()]).store,
})
const options = { facts, logger: silentLogger, trustedUsers: ['outrigger'] }
const mutate = createPodMutator(options)
const validate = createPodValidator(options)
const signal = new AbortController().signal

function request(object: Pod, oldObject?: Pod, user = 'anna'): AdmissionRequest {
  return {
    uid: 'u',
    kind: { group: '', version: 'v1', kind: 'Pod' },
    resource: { group: '', version: 'v1', resource: 'pods' },
    subResource: '',
    operation: oldObject ? 'UPDATE' : 'CREATE',
    name: object.metadata.name,
    namespace: 'shop',
    user: { name: user, groups: [] },
    object,
    oldObject,
    isDryRun: false,
  }
}

function patched(object: Pod, answer: AdmissionAnswer): Pod {
  expect(answer).toMatchObject({ allowed: true })
  return applyJsonPatch(object, answer.allowed ? (answer.patch ?? []) : []) as Pod
}

const eci = pod({ labels: { 'alibabacloud.com/eci': 'true' } })
const label = { 'serverless.alibabacloud.com/virtual-node': 'true' }

describe('creating a pod', () => {
  it('for a virtual node routes, labels and injects it, and the result passes validation', async () => {
    const settled = patched(eci, await mutate(request(eci), signal))
    expect(settled.spec.containers.map(({ name }) => name)).toEqual(['filebeat', 'web'])
    expect(settled.metadata.labels).toMatchObject(label)
    expect(await validate(request(settled), signal)).toEqual({ allowed: true })
  })

  it('does not write the namespace into an object that leaves it out', async () => {
    const { namespace: _, ...metadata } = eci.metadata
    const answer = await mutate(request({ ...eci, metadata }), signal)
    expect(answer.allowed && answer.patch?.map(({ path }) => path)).not.toContain('/metadata/namespace')
  })

  it('for an ordinary node changes nothing', async () => {
    expect(await mutate(request(pod()), signal)).toMatchObject({ allowed: true, patch: [] })
  })

  it('with a reference to another namespace is forbidden, in words that help', async () => {
    const thief = pod({ spec: { volumes: [{ name: 'v', secret: { secretName: 'kube-system/root' } }] } })
    expect(await mutate(request(thief), signal)).toMatchObject({
      allowed: false,
      code: 403,
      message: expect.stringMatching(
        /^pod "web" is forbidden: spec.volumes\[0\].secret.secretName: Forbidden: names kube-system\/root/,
      ),
    })
  })

  it('with the label of virtual nodes is forbidden', async () => {
    expect(await mutate(request(pod({ labels: label })), signal)).toMatchObject({ allowed: false, code: 403 })
  })
})

describe('labelling a pod that is bound to a virtual node', () => {
  const bound = pod({ spec: { nodeName: 'vk' } })
  const labelled = { ...bound, metadata: { ...bound.metadata, labels: label } }

  it('injects it in the same write when Outrigger does it', async () => {
    const settled = patched(labelled, await mutate(request(labelled, bound, 'outrigger'), signal))
    expect(settled.spec.containers.map(({ name }) => name)).toEqual(['filebeat', 'web'])
    expect(await validate(request(settled, bound, 'outrigger'), signal)).toEqual({ allowed: true })
  })

  it('is forbidden to everyone else', async () => {
    expect(await mutate(request(labelled, bound), signal)).toEqual({ allowed: true })
    expect(await validate(request(labelled, bound), signal)).toMatchObject({ allowed: false, code: 403 })
  })

  it('is forbidden when its author wrote a record of references while nobody looked', async () => {
    const forged =
      '[{"sidecarSet":"filebeat","kind":"Secret","namespace":"kube-system","name":"root","volume":"v"}]'
    const metadata = { ...bound.metadata, annotations: { 'outrigger.dev/injected-references': forged } }
    const old = { ...bound, metadata }
    const next = { ...old, metadata: { ...metadata, labels: label } }
    expect(await validate(request(next, old, 'outrigger'), signal)).toMatchObject({
      allowed: false,
      code: 403,
    })
  })
})

it('updating a pod of a virtual node may change anything but what makes the node trust it', async () => {
  const settled = patched(eci, await mutate(request(eci), signal))
  const finalized = { ...settled, metadata: { ...settled.metadata, finalizers: [] } }
  expect(await validate(request(finalized, settled), signal)).toEqual({ allowed: true })
  const annotations = { ...settled.metadata.annotations, 'outrigger.dev/injected-references': '[]' }
  const changed = { ...settled, metadata: { ...settled.metadata, annotations } }
  expect(await validate(request(changed, settled), signal)).toMatchObject({ allowed: false })
  expect(await validate(request(changed, settled, 'outrigger'), signal)).toEqual({ allowed: true })
})
