import { defaultSidecarSet, type SidecarSet } from '@outrigger/api'
import { patchOf, planPod, SidecarSetIndex } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { round } from './load.ts'

const rounds = 20_000

/** Plan and patch of a typical pod with 10 and with 10,000 SidecarSets of which 3 match. */
export async function benchInjection(): Promise<unknown> {
  const few = measure(10)
  const many = measure(10_000)
  return {
    with10SidecarSets: few,
    with10000SidecarSets: many,
    ratio: round(many.planAndPatchP50Us / few.planAndPatchP50Us),
    goals: { planP50Us: 50, ratio: 1.2 },
  }
}

function measure(count: number): { readonly planP50Us: number; readonly planAndPatchP50Us: number } {
  const facts = {
    sidecarSets: new SidecarSetIndex(
      Array.from({ length: count }, (_, index) => aSidecarSet(index, index < 3)),
    ),
    namespace: { name: 'shop', labels: {} },
    time: '2026-01-01T10:00:00Z',
    isVirtualNode: () => false,
  }
  const pod = typicalPod()
  const planOnly = p50(() => planPod(pod, facts))
  const both = p50(() => patchOf(pod, planPod(pod, facts)))
  return { planP50Us: planOnly, planAndPatchP50Us: both }
}

function p50(work: () => unknown): number {
  for (let index = 0; index < 5_000; index++) work()
  const times = new Float64Array(rounds)
  for (let index = 0; index < rounds; index++) {
    const begin = performance.now()
    work()
    times[index] = performance.now() - begin
  }
  times.sort()
  return round((times[rounds / 2] ?? 0) * 1000)
}

/** One sidecar with a volume; the first few of a bench match the typical pod, the others some other label. */
export function aSidecarSet(index: number, matches: boolean): SidecarSet {
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name: `set-${String(index).padStart(5, '0')}`, uid: `uid-${index}`, generation: 1 },
    spec: {
      selector: { matchLabels: matches ? { app: 'web' } : { app: `other-${index}` } },
      containers: [
        {
          name: `sidecar-${index}`,
          image: 'agent:1.0',
          env: [{ name: 'LEVEL', value: 'info' }],
          volumeMounts: [{ name: `data-${index}`, mountPath: '/data' }],
          resources: { limits: { cpu: '100m', memory: '64Mi' } },
        },
      ],
      volumes: [{ name: `data-${index}`, emptyDir: {} }],
    },
  } as SidecarSet)
}

/** Two containers, five labels, volumes and variables: what a web application looks like. */
export function typicalPod(): Pod {
  const container = (name: string) => ({
    name,
    image: `${name}:2.3`,
    ports: [{ containerPort: 8080, name: 'http', protocol: 'TCP' }],
    env: Array.from({ length: 8 }, (_, index) => ({ name: `VAR_${index}`, value: `value ${index}` })),
    volumeMounts: [{ name: 'cache', mountPath: '/cache' }],
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { memory: '256Mi' } },
  })
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'web-1',
      namespace: 'shop',
      labels: { app: 'web', tier: 'front', release: 'stable', team: 'shop', 'pod-template-hash': 'abc' },
    },
    spec: { containers: [container('web'), container('proxy')], volumes: [{ name: 'cache', emptyDir: {} }] },
  } as Pod
}
