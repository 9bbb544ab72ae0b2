import { formatFieldError } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import type { SidecarSet } from './sidecar-set.ts'
import { defaultSidecarSet } from './sidecar-set-defaults.ts'
import { tracksOf } from './tracks.ts'
import { type SidecarSetFacts, sidecarSetErrors } from './validation.ts'

const root = 'metadata.annotations[outrigger.dev/tracks]'

function withTracks(text: string, customVersion = 'v3'): SidecarSet {
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name: 'logs', annotations: { 'outrigger.dev/tracks': text } },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      customVersion,
      containers: [{ name: 'agent', image: 'agent:3' }],
    },
  })
}

function complaints(tracks: unknown, facts: Partial<SidecarSetFacts> = {}): string[] {
  const text = typeof tracks === 'string' ? tracks : JSON.stringify(tracks)
  const hasRevision: SidecarSetFacts['hasRevision'] = (_, wish) => wish.customVersion !== 'gone'
  return sidecarSetErrors(withTracks(text), { others: [], hasRevision, ...facts }).map(formatFieldError)
}

const trial = { name: 'trial', customVersion: 'v2', percent: 10 }
const team = (name: string) => ({ matchLabels: { team: name } })

describe('validation of tracks', () => {
  it.each<[string, unknown]>([
    ['none', []],
    ['one with a share', [trial]],
    ['one by the name of a revision', [{ name: 'old', revisionName: 'logs-7c9ccc6db4', percent: 0.5 }]],
    ['one for all pods of a selector', [{ name: 'a', customVersion: 'v2', selector: team('a') }]],
    ['the version that is being written', [{ name: 'a', customVersion: 'v3', percent: 100 }]],
    [
      'shares of more than 100 percent that no pod meets together',
      [
        { ...trial, percent: 80, selector: team('a') },
        { ...trial, name: 'b', percent: 90, selector: team('b') },
        { ...trial, name: 'all', percent: 10 },
      ],
    ],
    [
      'shares that are no binary numbers',
      [0.1, 0.2, 99.7].map((percent, i) => ({ ...trial, name: `t${i}`, percent })),
    ],
  ])('accepts %s', (_, tracks) => {
    expect(complaints(tracks)).toEqual([])
  })

  it.each<[string, unknown, string]>([
    ['what is no JSON', 'trial=10', `${root}: Invalid value: "trial=10": must be a JSON list such as [{`],
    ['what is no list', { name: 'a' }, `${root}: Invalid value: "{\\"name\\":\\"a\\"}": must be a JSON list`],
    ['a track that is none', ['a'], `${root}[0]: Invalid value: "a": must be a track such as {`],
    ['no name', [{ ...trial, name: undefined }], `${root}[0].name: Invalid value`],
    [
      'a name that is no word',
      [{ ...trial, name: 'A b' }],
      `${root}[0].name: Invalid value: "A b": must be a word`,
    ],
    ['a name twice', [trial, trial], `${root}[1].name: Duplicate value: "trial"`],
    ['no version', [{ name: 'a' }], `${root}[0].customVersion: Required value: say which version`],
    [
      'two versions',
      [{ ...trial, revisionName: 'r' }],
      `${root}[0].revisionName: Invalid value: "r": say either`,
    ],
    [
      'a version that is a number',
      [{ name: 'a', customVersion: 2 }],
      `${root}[0].customVersion: Invalid value: 2`,
    ],
    [
      'a share above 100',
      [{ ...trial, percent: 101 }],
      `${root}[0].percent: Invalid value: 101: must be a number`,
    ],
    ['a share that is a text', [{ ...trial, percent: '10%' }], `${root}[0].percent: Invalid value: "10%"`],
    [
      'a misspelt field',
      [{ ...trial, precent: 1 }],
      `${root}[0].precent: Invalid value: 1: is unknown; a track has`,
    ],
    [
      'an empty selector',
      [{ ...trial, selector: {} }],
      `${root}[0].selector: Invalid value: {}: empty selector`,
    ],
    [
      'a selector that is none',
      [{ ...trial, selector: { team: 'a' } }],
      `${root}[0].selector: Invalid value`,
    ],
    [
      'an operator that there is not',
      [{ ...trial, selector: { matchExpressions: [{ key: 'a', operator: 'Is' }] } }],
      `${root}[0].selector.matchExpressions[0].operator: Invalid value: "Is"`,
    ],
    [
      'shares of more than 100 percent',
      [60, 50].map((percent, i) => ({ ...trial, name: `t${i}`, percent })),
      `${root}: Invalid value: "110 percent": the tracks that a pod may meet together`,
    ],
    [
      'more tracks than there may be',
      Array.from({ length: 17 }, (_, i) => ({ ...trial, name: `t${i}`, percent: 1 })),
      `${root}: Invalid value: 17: must have at most 16 tracks`,
    ],
    [
      'a revision that is not recorded',
      [trial, { name: 'b', customVersion: 'gone' }],
      `${root}[1].customVersion: Invalid value: "gone": is not recorded for the SidecarSet`,
    ],
  ])('refuses %s, and says where', (_, tracks, complaint) => {
    expect(complaints(tracks)[0]).toContain(complaint)
  })

  it('lets a revision that has gone meanwhile stand in the way of no other change', () => {
    const tracks = [{ name: 'b', customVersion: 'gone' }]
    const old = withTracks(JSON.stringify(tracks))
    expect(complaints([...tracks, trial], { old })).toEqual([])
    expect(complaints([...tracks, { ...trial, customVersion: 'gone', percent: 1 }], { old })).toEqual([])
  })

  it('does not ask for revisions offline', () => {
    const facts = { others: [] }
    const set = withTracks('[{"name":"b","customVersion":"gone"}]')
    expect(sidecarSetErrors(set, facts)).toEqual([])
  })

  it('takes what it refuses for no tracks, where nobody refused it', () => {
    expect(tracksOf(withTracks(JSON.stringify([trial])))).toEqual([trial])
    expect(tracksOf(withTracks(JSON.stringify([trial, trial])))).toEqual([])
    expect(tracksOf(withTracks('nothing'))).toEqual([])
  })
})
