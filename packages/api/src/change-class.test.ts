import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { changeBetween, fieldClass, type SidecarSetContent } from './change-class.ts'
import type { SidecarContainer } from './sidecar-set.ts'
import { defaultSidecarSet } from './sidecar-set-defaults.ts'
import { revisionData } from './sidecar-set-revision.ts'

const still = { updatesNativeSidecars: false }
const rolling = { updatesNativeSidecars: true }

/** In the form that revisions record. */
function content(spec: SidecarSetContent): SidecarSetContent {
  const { spec: defaulted } = defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name: 'agents' },
    spec,
  })
  return JSON.parse(revisionData(defaulted)).spec
}

const agent = (change: Partial<SidecarContainer> = {}): SidecarContainer => ({
  name: 'agent',
  image: 'agent:1',
  resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '64Mi' } },
  volumeMounts: [{ name: 'config', mountPath: '/etc/agent' }],
  ...change,
})
const volumes = [{ name: 'config', configMap: { name: 'agent' } }]
const before = content({ containers: [agent()], volumes })
const classOf = (after: SidecarSetContent, options = still) =>
  changeBetween(before, content({ volumes, ...after }), options)

describe('The class of a change', () => {
  it('is none for the same content, however it is written', () => {
    const same = agent({
      resources: { requests: { memory: '64Mi', cpu: '0.1' }, limits: { memory: '65536Ki' } },
    })
    expect(classOf({ containers: [same] })).toEqual({ changeClass: 'none', hasNewImages: false })
  })

  it('is images where only images differ', () => {
    expect(classOf({ containers: [agent({ image: 'agent:2' })] })).toEqual({
      changeClass: 'images',
      hasNewImages: true,
    })
  })

  it('is resources where amounts of cpu or memory differ, with or without images', () => {
    const resources = { requests: { cpu: '200m', memory: '64Mi' }, limits: { memory: '64Mi' } }
    expect(classOf({ containers: [agent({ resources })] })).toEqual({
      changeClass: 'resources',
      hasNewImages: false,
    })
    expect(classOf({ containers: [agent({ resources, image: 'agent:2' })] })).toEqual({
      changeClass: 'resources',
      hasNewImages: true,
    })
    expect(classOf({ containers: [agent({ resources: {} })] }).changeClass).toBe('resources')
  })

  it('is resources where the policy differs that amounts are computed by', () => {
    const resourcesPolicy = {
      targetContainersMode: 'sum' as const,
      resourcesExpr: { limits: { memory: 'memory*20%' } },
    }
    expect(classOf({ containers: [agent({ resourcesPolicy })] }).changeClass).toBe('resources')
  })

  it.each<[string, SidecarSetContent]>([
    ['a variable', { containers: [agent({ env: [{ name: 'A', value: '1' }] })] }],
    ['a variable beside an image', { containers: [agent({ image: 'agent:2', env: [{ name: 'A' }] })] }],
    [
      'a resource that no running container gets',
      {
        containers: [
          agent({
            resources: { ...agent().resources, limits: { memory: '64Mi', 'ephemeral-storage': '1Gi' } },
          }),
        ],
      },
    ],
    [
      'the resize policy',
      {
        containers: [agent({ resizePolicy: [{ resourceName: 'cpu', restartPolicy: 'RestartContainer' }] })],
      },
    ],
    ['a volume that is mounted', { containers: [agent()], volumes: [{ name: 'config', emptyDir: {} }] }],
    ['pull secrets', { containers: [agent()], imagePullSecrets: [{ name: 'registry' }] }],
    ['another container', { containers: [agent(), agent({ name: 'second' })] }],
    [
      'a plain init container',
      { containers: [agent()], initContainers: [{ name: 'init', image: 'init:1' }] },
    ],
  ])('is other for %s', (_, after) => {
    expect(classOf(after).changeClass).toBe('other')
  })

  it('does not count a volume that nobody mounts', () => {
    const unused = [...volumes, { name: 'spare', emptyDir: {} }]
    expect(classOf({ containers: [agent()], volumes: unused }).changeClass).toBe('none')
  })

  it('counts images of native sidecars as such only where they are rolled, those of plain init containers never', () => {
    const init = (image: string, restartPolicy?: 'Always') =>
      content({ initContainers: [{ name: 'net', image, ...(restartPolicy && { restartPolicy }) }] })
    expect(changeBetween(init('net:1', 'Always'), init('net:2', 'Always'), still).changeClass).toBe('other')
    expect(changeBetween(init('net:1', 'Always'), init('net:2', 'Always'), rolling).changeClass).toBe(
      'images',
    )
    expect(changeBetween(init('net:1'), init('net:2'), rolling).changeClass).toBe('other')
  })

  it('is the same in both directions, and none only from a content to itself', () => {
    const contents = fc
      .record({
        image: fc.constantFrom('agent:1', 'agent:2'),
        cpu: fc.constantFrom('100m', '200m'),
        arg: fc.constantFrom('a', 'b'),
      })
      .map(({ image, cpu, arg }) =>
        content({ containers: [agent({ image, args: [arg], resources: { limits: { cpu } } })] }),
      )
    fc.assert(
      fc.property(contents, contents, (left, right) => {
        const there = changeBetween(left, right, still)
        expect(changeBetween(right, left, still)).toEqual(there)
        expect(there.changeClass === 'none').toBe(JSON.stringify(left) === JSON.stringify(right))
      }),
    )
  })
})

it('a field has the class of what it belongs to', () => {
  const of = (path: string[], options = still) => fieldClass('containers', path, {}, options)
  expect(of(['image'])).toBe('images')
  expect(of(['resources', 'limits', 'cpu'])).toBe('resources')
  expect(of(['resources'])).toBe('resources')
  expect(of(['resourcesPolicy', 'targetContainersMode'])).toBe('resources')
  expect(of(['resources', 'limits', 'nvidia.com/gpu'])).toBe('other')
  expect(of(['resources', 'claims'])).toBe('other')
  expect(of(['env', '[A]', 'value'])).toBe('other')
  const native = { restartPolicy: 'Always' as const }
  expect(fieldClass('initContainers', ['image'], native, still)).toBe('other')
  expect(fieldClass('initContainers', ['image'], native, rolling)).toBe('images')
  expect(fieldClass('initContainers', ['resources', 'limits', 'cpu'], native, still)).toBe('resources')
  expect(fieldClass('initContainers', ['resources', 'limits', 'cpu'], {}, still)).toBe('other')
})
