import { defaultSidecarSet, type SidecarSet, type SidecarSetSpec } from '@outrigger/api'
import type { Pod } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { applyPlan } from './apply-plan.ts'
import { planInjection } from './plan.ts'
import { sidecarResources } from './sidecar-resources.ts'
import { SidecarSetIndex } from './sidecar-set-index.ts'

const setOf = (name: string, spec: SidecarSetSpec): SidecarSet =>
  defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name },
    spec: { selector: { matchLabels: { app: 'web' } }, ...spec },
  })

const bare: Pod = {
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
  spec: {
    containers: [
      {
        name: 'web',
        image: 'web:1',
        resources: { limits: { memory: '1Gi' }, requests: { memory: '512Mi' } },
      },
    ],
  },
}

const injected = (...sets: SidecarSet[]): Pod =>
  applyPlan(
    bare,
    planInjection(bare, {
      sidecarSets: new SidecarSetIndex(sets),
      namespace: { name: 'shop', labels: {} },
      time: '2026-01-01T10:00:00Z',
    }),
  )

describe('The resources of sidecars that run', () => {
  it('are what they say, for both of a pair and for native sidecars, not for plain init containers', () => {
    const resources = { requests: { cpu: '100m' }, limits: { memory: '64Mi' } }
    const set = setOf('agents', {
      containers: [
        {
          name: 'mesh',
          image: 'mesh:1',
          resources,
          upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'empty:1' },
        },
      ],
      initContainers: [
        { name: 'net', image: 'net:1', restartPolicy: 'Always', resources },
        { name: 'setup', image: 'setup:1', resources },
      ],
    })
    const whole = { limits: { memory: '64Mi' }, requests: { cpu: '100m', memory: '64Mi' } }
    expect(sidecarResources(injected(set), set, [])).toEqual([
      { list: 'containers', name: 'mesh-1', resources: whole },
      { list: 'containers', name: 'mesh-2', resources: whole },
      { list: 'initContainers', name: 'net', resources: whole },
    ])
  })

  it('are computed from the application as it is, whatever other sidecars have', () => {
    const policy = (share: string) =>
      setOf('agents', {
        containers: [
          {
            name: 'agent',
            image: 'agent:1',
            resourcesPolicy: {
              targetContainersMode: 'sum',
              resourcesExpr: { limits: { memory: `memory*${share}` }, requests: { memory: '16Mi' } },
            },
          },
        ],
      })
    const other = setOf('logs', {
      containers: [{ name: 'logs', image: 'logs:1', resources: { limits: { memory: '1Gi' } } }],
    })
    const pod = injected(policy('10%'), other)
    const limitsOf = (subject: Pod, share: string) =>
      sidecarResources(subject, policy(share), [other])[0]?.resources.limits?.['memory']
    expect(limitsOf(pod, '50%')).toBe('512Mi')
    const grown = {
      ...pod,
      spec: {
        ...pod.spec,
        containers: pod.spec.containers.map((container) =>
          container.name === 'web' ? { ...container, resources: { limits: { memory: '2Gi' } } } : container,
        ),
      },
    }
    expect(limitsOf(grown, '50%')).toBe('1Gi')
  })
})
