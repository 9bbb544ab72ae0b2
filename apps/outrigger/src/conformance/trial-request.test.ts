import { type SidecarSet, sidecarSetErrors } from '@outrigger/api'
import type { LabelSelector } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { parseManifestText } from '../manifests/manifest-files.ts'
import { trialNames, trialSidecarSet } from './trial-objects.ts'
import { probeOf, trialRequest } from './trial-request.ts'

const hot = (name: string) =>
  `    - {name: ${name}, image: "${name}:1", upgradeStrategy: {upgradeType: HotUpgrade, hotUpgradeEmptyImage: "none:1"}}\n`
const sidecarSet = (containers: string, selector = '{matchLabels: {app: web}}') =>
  `apiVersion: apps.kruise.io/v1alpha1\nkind: SidecarSet\nmetadata: {name: mesh}\nspec:\n  selector: ${selector}\n  containers:\n${containers}`
const requestFor = (text: string, wishes: { container?: string; from?: string; to?: string } = {}) =>
  trialRequest(parseManifestText('mesh.yaml', text), { filename: ['mesh.yaml'], to: 'mesh:2', ...wishes })

describe('a request for a trial', () => {
  it('begins with the image of the SidecarSet and brings what it may mount', () => {
    const text = `${sidecarSet(hot('mesh'))}---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n`

    expect(requestFor(text)).toMatchObject({
      container: 'mesh',
      from: 'mesh:1',
      to: 'mesh:2',
      emptyImage: 'none:1',
      companions: [{ object: { kind: 'ConfigMap' } }],
    })
  })

  it.each<[string, string, Parameters<typeof requestFor>[1], RegExp]>([
    [
      'nothing to try',
      'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n',
      {},
      /^there is no SidecarSet in mesh/,
    ],
    ['no hot container', sidecarSet('    - {name: mesh, image: "mesh:1"}\n'), {}, /is upgraded hot; set/],
    ['a choice', sidecarSet(hot('mesh') + hot('logs')), {}, /several containers hot: mesh, logs; choose/],
    ['a wrong choice', sidecarSet(hot('mesh')), { container: 'x' }, /does not upgrade a container x hot/],
    ['one image', sidecarSet(hot('mesh')), { to: 'mesh:1' }, /^mesh:1 is what container mesh begins with; /],
    ['the empty image', sidecarSet(hot('mesh')), { to: 'none:1' }, /^none:1 is the empty image of container/],
  ])('is refused in one line: %s', (_, text, wishes, words) => {
    expect(() => requestFor(text, wishes)).toThrow(words)
  })

  it('asks for one thing', () => {
    expect(probeOf({ tcp: 80 })).toEqual({ kind: 'tcp', port: 80 })
    expect(() => probeOf({})).toThrow('is missing; give one of --url, --tcp and --exec')
    expect(() => probeOf({ tcp: 80, exec: 'true' })).toThrow('is given more than once')
  })
})

describe('the SidecarSet of a trial', () => {
  const names = trialNames('mesh', 'abcde')

  it.each<[LabelSelector]>([
    [{ matchLabels: { app: 'web' } }],
    [{ matchExpressions: [{ key: 'app', operator: 'In', values: ['web', 'shop'] }] }],
    [{ matchExpressions: [{ key: 'app', operator: 'Exists' }] }],
  ])('is let stand beside the original, which selects %j', (selector) => {
    const original = requestFor(sidecarSet(hot('mesh'), JSON.stringify(selector))).sidecarSet
    const copy = trialSidecarSet(original, 'mesh', 'mesh:0', names) as SidecarSet

    expect(sidecarSetErrors(copy, { others: [original] })).toEqual([])
    expect(copy.spec.containers?.[0]?.image).toBe('mesh:0')
  })

  it('leaves out what ties the original to others, and has a name that fits', () => {
    const { sidecarSet: original } = requestFor(sidecarSet(hot('mesh')))
    const metadata = {
      ...original.metadata,
      annotations: {
        'apps.kruise.io/sidecarset-canary': 'true',
        'outrigger.dev/update-native-sidecars': 'true',
      },
    }
    const copy = trialSidecarSet(
      { ...original, metadata },
      'mesh',
      'mesh:1',
      trialNames('m'.repeat(63), 'abcde'),
    )

    expect(copy.metadata.annotations).toEqual({ 'outrigger.dev/update-native-sidecars': 'true' })
    expect(copy.metadata.name).toHaveLength(63)
    expect(copy.spec.updateStrategy).toEqual({ type: 'RollingUpdate', maxUnavailable: 1 })
  })
})
