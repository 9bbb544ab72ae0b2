import {
  controllerRevisionOf,
  type SidecarContainer,
  type SidecarSet,
  type SidecarSetSpec,
} from '@outrigger/api'
import type { Pod } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { formatSidecarSet } from '../explanation/format-sidecar-set.ts'
import { explainSidecarSet } from '../explanation/sidecar-set-explanation.ts'
import { createPaint } from '../rendering/paint.ts'
import { injectedPod, logs, pictureWith, webPod } from '../testdata/objects.ts'
import { changedFields } from './changed-fields.ts'
import { formatPreview } from './format-preview.ts'
import { recordedContents } from './revision-history.ts'
import { rolloutProgress, withWays } from './rollout-progress.ts'
import { judgeRollout } from './rollout-state.ts'
import { previewUpdate } from './update-preview.ts'

const small = { requests: { cpu: '100m' } }
const large = { requests: { cpu: '200m' } }
const namespaceOf = (name: string) => ({ name, labels: {} })
const resizes = { 'outrigger.dev/on-resources-change': 'Resize' }
const recreates = { 'outrigger.dev/on-other-change': 'Recreate' }

function version(
  change: Partial<SidecarContainer>,
  annotations: Record<string, string>,
  spec: SidecarSetSpec = {},
): SidecarSet {
  const set = logs({ containers: [{ name: 'logs', image: 'logs:1', resources: small, ...change }], ...spec })
  return {
    ...set,
    metadata: { ...set.metadata, annotations: { ...set.metadata.annotations, ...annotations } },
  }
}

const old = version({}, {})
const recorded = recordedContents([
  controllerRevisionOf(old, { namespace: 'kruise-system', revision: 1, collisionCount: 0 }),
])
const owned = (kind: string): Pod => {
  const pod = injectedPod(webPod(), old)
  const owner = {
    apiVersion: kind === 'Job' ? 'batch/v1' : 'apps/v1',
    kind,
    name: 'web',
    uid: 'u',
    controller: true,
  }
  return { ...pod, metadata: { ...pod.metadata, ownerReferences: [owner] } }
}
const reaches = (next: SidecarSet) =>
  changedFields(old.spec, next).map(({ field, reaches: how }) => [field, how])
const judge = (next: SidecarSet, pod = owned('ReplicaSet'), canResize = true) =>
  judgeRollout(next, [pod], namespaceOf, recorded, canResize).pods[0]

describe('the fields of a change', () => {
  it('reach pods by the class of the whole', () => {
    const both = { image: 'logs:2', resources: large }
    expect(reaches(version(both, resizes))).toEqual([
      ['spec.containers[logs].image', 'in place'],
      ['spec.containers[logs].resources.requests.cpu', 'resized in place'],
    ])
    expect(reaches(version({ ...both, args: ['-v'] }, { ...resizes, ...recreates }))).toEqual([
      ['spec.containers[logs].args', 'made anew'],
      ['spec.containers[logs].image', 'made anew'],
      ['spec.containers[logs].resources.requests.cpu', 'made anew'],
    ])
    expect(reaches(version({ ...both, args: ['-v'] }, resizes)).map(([, how]) => how)).toEqual([
      'on recreation',
      'on recreation',
      'on recreation',
    ])
  })

  it('reach pods as before where the SidecarSet says nothing', () => {
    expect(reaches(version({ image: 'logs:2', resources: large }, {}))).toEqual([
      ['spec.containers[logs].image', 'in place'],
      ['spec.containers[logs].resources.requests.cpu', 'on recreation'],
    ])
  })
})

describe('what becomes of a pod', () => {
  it.each<[string, SidecarSet, string | RegExp]>([
    ['is resized', version({ resources: large }, resizes), 'its turn comes next: resized in place'],
    [
      'is made anew',
      version({ args: ['-v'] }, recreates),
      'its turn comes next: evicted, for its owner to make it anew',
    ],
    [
      'waits',
      version({ args: ['-v'] }, resizes),
      'more than images changed (spec.containers[logs].args), and its SidecarSet has that wait: recreate the pod',
    ],
  ])('is said where it %s', (_, next, reason) => {
    expect(judge(next)?.reason).toBe(reason)
  })

  it('is said with what stands in the way', () => {
    expect(judge(version({ resources: large }, resizes), owned('ReplicaSet'), false)?.reason).toContain(
      'this Kubernetes cannot resize pods in place',
    )
    expect(judge(version({ args: ['-v'] }, recreates), owned('Job'))?.reason).toContain(
      'Job web would count the deleted pod as a failure',
    )
  })

  it('is told by a plan before anything moves, pod by pod and in numbers', () => {
    const preview = previewUpdate(
      version({ args: ['-v'] }, recreates),
      old,
      [owned('ReplicaSet')],
      namespaceOf,
      recorded,
    )
    expect(preview.totals).toMatchObject({ 'made anew': 1, 'in place': 0 })
    expect(preview.pods).toEqual([{ pod: 'shop/web', effect: 'made anew', reason: 'it needs a new pod' }])
    expect(formatPreview(preview, createPaint(false))).toContain('has pods made anew')
    const resized = previewUpdate(
      version({ resources: large }, resizes),
      old,
      [owned('ReplicaSet')],
      namespaceOf,
      recorded,
    )
    expect(resized.totals).toMatchObject({ 'resized in place': 1 })
    expect(formatPreview(resized, createPaint(false))).toMatch(/resizes running pods +"100m" -> "200m"/)
  })

  it('is told by explain, with the policies', () => {
    const next = version({ args: ['-v'] }, { ...resizes, ...recreates })
    const explanation = explainSidecarSet(next, pictureWith([next]), [owned('ReplicaSet')], { recorded })
    expect(explanation.changes).toBe(
      'images in place; cpu and memory resized in place; all else made anew within the budget',
    )
    expect(formatSidecarSet(explanation, createPaint(false))).toMatch(/Update +made anew; maxUnavailable 1/)
  })

  it('is told by rollout status in groups', () => {
    const next = {
      ...version({ args: ['-v'] }, recreates),
      status: { observedGeneration: 1, matchedPods: 1, updatedPods: 0, readyPods: 1, updatedReadyPods: 0 },
    }
    const state = judgeRollout(next, [owned('ReplicaSet')], namespaceOf, recorded)
    const progress = withWays(rolloutProgress(next), next, state)
    expect(progress.text).toContain('[pods: 1 made anew]')
    expect(progress.ways).toEqual([{ way: 'made anew', pods: 1 }])
  })
})
