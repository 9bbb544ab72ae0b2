import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { residentMegabytes, startBenchCluster } from './cluster.ts'
import { type LoadFigures, type LoadRequest, load, round, type Target } from './load.ts'

const clients = 32
const creations = 12_000
const patches = 8_000

/**
 * 32 clients against `outrigger apiserver` (TLS, RBAC, LMDB), beside a bare HTTP/2 server of Node that parses and
 * answers the same bodies. Each measured after a warm-up.
 */
export async function benchApiServer(): Promise<unknown> {
  const cluster = await startBenchCluster(['apiserver'])
  try {
    await createAccount(cluster.target)
    await load(cluster.target, clients, 2_000, (index) => createPod(`warm-${index}`))
    const created = await load(cluster.target, clients, creations, (index) => createPod(`pod-${index}`))
    const patched = await load(cluster.target, clients, patches, (index) =>
      patchPod(`pod-${index % creations}`, index),
    )
    const floor = await benchFloor(join(cluster.directory, 'data', 'pki'), cluster.target)
    return {
      createPods: {
        ...created,
        ofFloor: round(created.perSecond / floor.perSecond),
        goalPerSecond: 2_000,
        kubeApiserverWithEtcdPerSecond: 1_010,
      },
      mergePatches: {
        ...patched,
        ofFloor: round(patched.perSecond / floor.perSecond),
        goalPerSecond: 1_500,
        kubeApiserverWithEtcdPerSecond: 671,
      },
      floor: { what: 'bare node:http2 server, same bodies', ...floor },
      residentMegabytes: residentMegabytes(cluster.process.child.pid ?? 0),
    }
  } finally {
    await cluster.stop()
  }
}

async function benchFloor(pki: string, target: Target): Promise<LoadFigures> {
  const server = spawn(process.execPath, [
    '--import',
    'tsx',
    join(import.meta.dirname, 'floor-server.ts'),
    join(pki, 'apiserver.crt'),
    join(pki, 'apiserver.key'),
  ])
  try {
    const [port] = (await once(server.stdout, 'data')) as [Buffer]
    const floor = { ...target, url: `https://127.0.0.1:${port.toString('utf8').trim()}` }
    await load(floor, clients, 2_000, (index) => createPod(`warm-${index}`))
    return await load(floor, clients, creations, (index) => createPod(`pod-${index}`))
  } finally {
    server.kill()
  }
}

/** Pods need their namespace's service account, which a controller would make. */
async function createAccount(target: Target): Promise<void> {
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } })
  await load(target, 1, 1, () => ({
    method: 'POST',
    path: '/api/v1/namespaces/default/serviceaccounts',
    body,
    contentType: 'application/json',
  }))
}

function createPod(name: string): LoadRequest {
  const body = JSON.stringify({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'bench', tier: 'front' }, annotations: { note: 'made by the bench' } },
    spec: {
      containers: [
        {
          name: 'main',
          image: 'busybox:1.36',
          command: ['sleep', '3600'],
          env: [{ name: 'MODE', value: 'bench' }],
          ports: [{ containerPort: 8080, name: 'http' }],
          resources: { requests: { cpu: '10m', memory: '16Mi' } },
        },
      ],
    },
  })
  return { method: 'POST', path: '/api/v1/namespaces/default/pods', body, contentType: 'application/json' }
}

function patchPod(name: string, index: number): LoadRequest {
  const body = JSON.stringify({ metadata: { annotations: { round: String(index) } } })
  return {
    method: 'PATCH',
    path: `/api/v1/namespaces/default/pods/${name}`,
    body,
    contentType: 'application/merge-patch+json',
  }
}
