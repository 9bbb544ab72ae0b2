import { ManualClock } from '@outrigger/foundation/testing'
import { applyJsonPatch } from '@outrigger/kube'
import type { AdmissionRequest } from '@outrigger/webhook'
import { describe, expect, it } from 'vitest'
import { filebeat } from '../../testdata/objects.ts'
import { createSidecarSetMutator } from './sidecar-set-handlers.ts'

const key = 'outrigger.dev/selects-since'
const web = { selector: { matchLabels: { app: 'web' } } }
const clock = new ManualClock(Date.parse('2026-02-03T04:05:06Z'))
const now = '2026-02-03T04:05:06Z'

/** The annotation after a SidecarSet was written over another one, or anew. */
async function selectsSince(object: ReturnType<typeof filebeat>, oldObject?: ReturnType<typeof filebeat>) {
  const request = {
    resource: { group: 'apps.kruise.io', version: 'v1alpha1', resource: 'sidecarsets' },
    operation: oldObject ? 'UPDATE' : 'CREATE',
    object,
    ...(oldObject && { oldObject }),
  } as unknown as AdmissionRequest
  const answer = await createSidecarSetMutator({ clock })(request, new AbortController().signal)
  const patch = answer.allowed ? (answer.patch ?? []) : []
  const stored = applyJsonPatch(object, patch) as typeof object
  return stored.metadata.annotations?.[key]
}

const since = (set: ReturnType<typeof filebeat>, value: string) => ({
  ...set,
  metadata: { ...set.metadata, annotations: { ...set.metadata.annotations, [key]: value } },
})

describe('the time since when a SidecarSet selects what it selects', () => {
  it.each([
    ['selector', { selector: { matchLabels: { app: 'db' } } }],
    ['namespaceSelector', { ...web, namespaceSelector: { matchLabels: { team: 'a' } } }],
    ['namespace', { ...web, namespace: 'shop' }],
    ['pause of injection', { ...web, injectionStrategy: { paused: true } }],
  ])('is that of the last change of its %s', async (_, spec) => {
    expect(await selectsSince(filebeat(spec), filebeat(web))).toBe(now)
    expect(await selectsSince(filebeat(web), since(filebeat(spec), '2026-01-01T00:00:00Z'))).toBe(now)
  })

  it('stays through any other change, also one that leaves it out or says otherwise', async () => {
    const before = since(filebeat(web), '2026-01-01T00:00:00Z')
    const after = filebeat({ ...web, containers: [{ name: 'filebeat', image: 'filebeat:9' }] })
    expect(await selectsSince(after, before)).toBe('2026-01-01T00:00:00Z')
    expect(await selectsSince(since(after, '2099-01-01T00:00:00Z'), before)).toBe('2026-01-01T00:00:00Z')
    expect(await selectsSince(since(after, '2099-01-01T00:00:00Z'), filebeat(web))).toBeUndefined()
  })

  it('is its creation at first, whatever the manifest was copied from', async () => {
    expect(await selectsSince(since(filebeat(web), '2099-01-01T00:00:00Z'))).toBeUndefined()
  })

  it('does not change by a namespace that becomes the selector it stands for', async () => {
    const namespaceSelector = { matchLabels: { 'kubernetes.io/metadata.name': 'shop' } }
    const stored = filebeat({ ...web, namespaceSelector })
    expect(await selectsSince(filebeat({ ...web, namespace: 'shop' }), stored)).toBeUndefined()
  })
})
