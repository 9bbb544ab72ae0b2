import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureCertificates } from '@outrigger/certificates'
import { SystemClock } from '@outrigger/foundation'
import { typicalPod } from './injection.ts'
import { round } from './load.ts'

const connections = 16
const reviews = 20_000

/** Pod reviews per second over TLS with 10 SidecarSets of which 3 match, beside a bare TLS server that parses and answers the same bodies. */
export async function benchWebhook(): Promise<unknown> {
  const directory = await mkdtemp(join(tmpdir(), 'outrigger-bench-'))
  try {
    await ensureCertificates(
      directory,
      [
        {
          file: 'serving',
          commonName: 'bench',
          dnsNames: ['localhost'],
          ipAddresses: ['127.0.0.1'],
          usages: ['server'],
        },
      ],
      {
        clock: new SystemClock(),
      },
    )
    const manager = await measure('manager', directory)
    const floor = await measure('floor', directory)
    return { manager, floor, ofFloor: round(manager.perSecond / floor.perSecond), goalOfFloor: 0.6 }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function measure(kind: string, directory: string) {
  const script = join(import.meta.dirname, 'webhook-server.ts')
  const server = spawn(
    process.execPath,
    ['--import', 'tsx', script, kind, join(directory, 'serving.crt'), join(directory, 'serving.key')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const agent = new Agent({ keepAlive: true, maxSockets: connections, rejectUnauthorized: false })
  try {
    const [port] = (await once(server.stdout, 'data')) as [Buffer]
    const target = { port: Number(port.toString('utf8')), agent, body: aReview() }
    await send(target, 3_000)
    return await send(target, reviews)
  } finally {
    agent.destroy()
    server.kill()
  }
}

async function send(target: { port: number; agent: Agent; body: string }, total: number) {
  const times: number[] = []
  let next = 0
  const begin = performance.now()
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (next++ < total) {
        const sent = performance.now()
        await review(target)
        times.push(performance.now() - sent)
      }
    }),
  )
  const seconds = (performance.now() - begin) / 1000
  times.sort((a, b) => a - b)
  return { perSecond: Math.round(total / seconds), p99Ms: round(times[Math.floor(times.length * 0.99)] ?? 0) }
}

function review({ port, agent, body }: { port: number; agent: Agent; body: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const call = request(
      {
        host: '127.0.0.1',
        port,
        path: '/mutate-pod?timeout=10s',
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (response) => {
        response.resume()
        response.on('end', () =>
          response.statusCode === 200
            ? resolve()
            : reject(new Error(`the webhook answered ${response.statusCode}`)),
        )
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

function aReview(): string {
  return JSON.stringify({
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: {
      uid: '11111111-2222-3333-4444-555555555555',
      kind: { group: '', version: 'v1', kind: 'Pod' },
      resource: { group: '', version: 'v1', resource: 'pods' },
      name: 'web-1',
      namespace: 'shop',
      operation: 'CREATE',
      userInfo: {
        username: 'system:serviceaccount:kube-system:replicaset-controller',
        groups: ['system:authenticated'],
      },
      object: typicalPod(),
      dryRun: false,
    },
  })
}
