import { describe, expect, it } from 'vitest'
import { whitelistErrors } from './metadata-whitelist.ts'
import type { SidecarSet } from './sidecar-set.ts'

const patching = (...keys: string[]): SidecarSet => ({
  apiVersion: 'apps.kruise.io/v1alpha1',
  kind: 'SidecarSet',
  metadata: { name: 's', labels: { team: 'mesh' } },
  spec: { patchPodMetadata: [{ annotations: Object.fromEntries(keys.map((key) => [key, 'x'])) }] },
})
const rules = (...list: unknown[]) => JSON.stringify({ rules: list })
const complaints = (text: string | undefined, allowsByDefault: boolean, ...keys: string[]) =>
  whitelistErrors(patching(...keys), { text, allowsByDefault }).map(({ detail }) => detail)

describe('the whitelist of patched annotations', () => {
  it('is not asked where nothing is patched', () => {
    expect(whitelistErrors({ ...patching(), spec: {} }, { text: 'x', allowsByDefault: false })).toEqual([])
  })

  it('allows what one of its rules matches, anywhere in the key', () => {
    expect(complaints(rules({ allowedAnnotationKeyExprs: ['log'] }), false, 'my.log/x')).toEqual([])
    expect(complaints(rules({ allowedAnnotationKeyExprs: ['^log'] }), true, 'my.log/x')).toEqual([
      expect.stringContaining('my.log/x is not allowed'),
    ])
  })

  it('when absent allows nothing unless the default is to allow', () => {
    expect(complaints(undefined, false, 'a')).toEqual([expect.stringContaining('no whitelist found')])
    expect(complaints(undefined, true, 'a')).toEqual([])
    const forOthers = rules({ selector: { matchLabels: { team: 'x' } }, allowedAnnotationKeyExprs: ['.*'] })
    expect(complaints(forOthers, false, 'a')).toHaveLength(1)
    expect(complaints(forOthers, true, 'a')).toEqual([])
  })

  it.each([
    ['no JSON', '{'],
    ['no list', '{"rules":{}}'],
    ['a bad expression', rules({ allowedAnnotationKeyExprs: ['('] })],
    ['a bad selector', rules({ selector: { matchExpressions: [{ key: 'a', operator: 'Is' }] } })],
  ])('that has %s allows nothing, even by default', (_, text) => {
    expect(complaints(text, true, 'a')).toEqual([expect.stringContaining('cannot be read')])
  })

  it('does not look at bad expressions of rules for others', () => {
    const text = rules(
      { selector: { matchLabels: { team: 'x' } }, allowedAnnotationKeyExprs: ['('] },
      { selector: {}, allowedAnnotationKeyExprs: ['a'] },
    )
    expect(complaints(text, false, 'a')).toEqual([])
  })
})
