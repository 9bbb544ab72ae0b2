import { controllerRevisionOf, type SidecarSet, type Track } from '@outrigger/api'
import { describe, expect, it } from 'vitest'
import { formatPod } from '../explanation/format-pod.ts'
import { formatSidecarSet } from '../explanation/format-sidecar-set.ts'
import { explainPod } from '../explanation/pod-explanation.ts'
import { explainSidecarSet } from '../explanation/sidecar-set-explanation.ts'
import { createPaint } from '../rendering/paint.ts'
import { injectedPod, logs, pictureWith, webPod } from '../testdata/objects.ts'
import { formatPreview } from './format-preview.ts'
import { recordedContents } from './revision-history.ts'
import { rolloutProgress, withTracks } from './rollout-progress.ts'
import { judgeRollout } from './rollout-state.ts'
import { previewUpdate } from './update-preview.ts'

const paint = createPaint(false)
const namespaceOf = (name: string) => ({ name, labels: {} })

function version(number: number, tracks?: readonly Track[]): SidecarSet {
  const set = logs({ containers: [{ name: 'logs', image: `logs:${number}` }] })
  const { metadata } = set
  return {
    ...set,
    metadata: {
      ...metadata,
      labels: { 'apps.kruise.io/sidecarset-custom-version': `v${number}` },
      annotations: {
        ...metadata.annotations,
        ...(tracks && { 'outrigger.dev/tracks': JSON.stringify(tracks) }),
      },
    },
  }
}

const recorded = recordedContents(
  [1, 2].map((number) =>
    controllerRevisionOf(version(number), {
      namespace: 'kruise-system',
      revision: number,
      collisionCount: 0,
    }),
  ),
)
const labelled = (name: string, tier: string) => webPod({ name, labels: { app: 'web', tier } })
/** Two pods on the track, one with its content; two on none, one with the newest content. */
const pods = [
  injectedPod(labelled('test-0', 'test'), version(1)),
  injectedPod(labelled('test-1', 'test'), version(2)),
  injectedPod(labelled('live-0', 'live'), version(1)),
  injectedPod(labelled('live-1', 'live'), version(2)),
]
const tests: Track = { name: 'tests', customVersion: 'v1', selector: { matchLabels: { tier: 'test' } } }
const tracked = version(2, [tests])

describe('with tracks', () => {
  it('a rollout is judged and counted by the track of each pod', () => {
    const state = judgeRollout(tracked, pods, namespaceOf, recorded)
    expect(state).toMatchObject({ matched: 4, updated: 2 })
    expect(state.tracks).toEqual([
      {
        track: 'tests',
        version: 'customVersion v1',
        share: 'all pods tier=test',
        pods: 2,
        updated: 1,
        updatedReady: 1,
      },
      {
        track: '',
        version: 'the newest content',
        share: 'the other pods',
        pods: 2,
        updated: 1,
        updatedReady: 1,
      },
    ])
    expect(state.pods.map(({ pod, track, standing }) => [pod, track, standing])).toEqual([
      ['shop/test-0', 'tests', 'current'],
      ['shop/test-1', 'tests', 'held back'],
      ['shop/live-0', undefined, 'waiting'],
      ['shop/live-1', undefined, 'current'],
    ])
  })

  it('a status from before the tracks changed does not pass for the end of the rollout', () => {
    const counted = { matchedPods: 4, updatedPods: 4, readyPods: 4, updatedReadyPods: 4 }
    const set = { ...tracked, status: { ...counted, observedGeneration: 1 } }
    const state = judgeRollout(set, pods, namespaceOf, recorded)
    expect(withTracks(rolloutProgress(set), state)).toMatchObject({
      isDone: false,
      text: 'Waiting for rollout to finish: 2 out of 4 pods have not what their track says... [tracks: tests 1 of 2, on none 1 of 2]',
    })
    const done = [pods[0], pods[3]].flatMap((pod) => pod ?? [])
    expect(withTracks(rolloutProgress(set), judgeRollout(set, done, namespaceOf, recorded))).toMatchObject({
      isDone: true,
      text: 'sidecarset "logs" successfully rolled out [tracks: tests 1 of 1, on none 1 of 1]',
    })
  })

  it('a pod is told the track it is on, why, and what it should have', () => {
    const [, strayed] = pods
    if (strayed === undefined) throw new Error('no pod')
    const contents = new Map([['logs', recorded]])
    const text = formatPod(explainPod(strayed, pictureWith([tracked]), pods, { contents }), paint)
    expect(text).toMatch(
      /it should have logs-\S+; in place, held back: maxUnavailable 1 allows 1 at a time, and others come first; on track tests \(customVersion v1\), which takes the pods tier=test$/m,
    )
  })

  it('a track whose version is not recorded says so', () => {
    const set = version(2, [{ ...tests, customVersion: 'v9' }])
    const { blockers } = judgeRollout(set, pods, namespaceOf, recorded)
    expect(blockers).toContain(
      '2 pods: track tests asks for customVersion v9, which is not recorded: give the track a version that outrigger rollout history lists',
    )
  })

  it('what the user may not look up is not said to be missing', () => {
    const unseen = { ...recordedContents([]), isForbidden: true }
    expect(judgeRollout(tracked, pods, namespaceOf, unseen).blockers).toContain(
      '2 pods: track tests asks for customVersion v1, which you may not look up: ask for the right to list ControllerRevisions',
    )
  })

  it('a SidecarSet is explained, and a change of tracks previewed', () => {
    const explained = explainSidecarSet(tracked, pictureWith([tracked]), pods, { recorded })
    expect(formatSidecarSet(explained, paint)).toContain(
      '  Tracks\n' +
        '    tests    customVersion v1    all pods tier=test  2 pods, 1 of them with it, 1 of those ready\n' +
        '    on none  the newest content  the other pods      2 pods, 1 of them with it, 1 of those ready\n',
    )
    const preview = previewUpdate(tracked, version(2), pods, namespaceOf, recorded)
    expect(preview).toMatchObject({ change: 'update', totals: { 'in place': 2, unchanged: 2 } })
    expect(formatPreview(preview, paint)).toContain(
      'shop/test-1  in place  only images differ; on track tests',
    )
  })
})
