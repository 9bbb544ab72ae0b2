import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureCertificates } from '@outrigger/certificates'
import { SystemClock } from '@outrigger/foundation'
import { build } from 'esbuild'
import { bundleSettings } from '../bundle-settings.ts'
import { typicalPod } from './injection.ts'
import { round } from './load.ts'

const connections = 16
const reviews = 10_000
const rounds = 5

/**
 * Pod reviews per second over TLS with 10 SidecarSets of which 3 match, beside a bare TLS server that parses the same
 * bodies and answers the same bytes. Measured in turns, because a busy machine slows what runs at that moment; the
 * CPU time of the server per review says the same with less noise.
 */
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
    await bundle(directory)
    const manager = await start('manager', directory)
    const floor = await start('floor', directory)
    try {
      if ((await review(manager)) !== (await review(floor)))
        throw new Error('the floor does not answer what the manager answers')
      // A server lives for weeks: what its first seconds cost the compiler is not what a review costs.
      for (const subject of [manager, floor]) await send(subject, 20_000)
      const turns: Turn[] = []
      for (let turn = 0; turn < rounds; turn++)
        turns.push({ manager: await measure(manager), floor: await measure(floor) })
      return summary(turns)
    } finally {
      await Promise.all([manager.stop(), floor.stop()])
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

interface Figures {
  readonly perSecond: number
  readonly p99Ms: number
  readonly cpuUs: number
}

interface Turn {
  readonly manager: Figures
  readonly floor: Figures
}

function summary(turns: readonly Turn[]) {
  const ratios = turns.map(({ manager, floor }) => round(manager.perSecond / floor.perSecond))
  const of = (kind: keyof Turn): Figures => ({
    perSecond: median(turns.map((turn) => turn[kind].perSecond)),
    p99Ms: median(turns.map((turn) => turn[kind].p99Ms)),
    cpuUs: median(turns.map((turn) => turn[kind].cpuUs)),
  })
  const [manager, floor] = [of('manager'), of('floor')]
  return {
    manager,
    floor,
    ofFloor: median(ratios),
    ofFloorInTurn: ratios,
    ofFloorByCpuInTurn: turns.map(({ manager, floor }) => round(floor.cpuUs / manager.cpuUs)),
    ofFloorByCpu: round(floor.cpuUs / manager.cpuUs),
    goalOfFloor: 0.6,
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}

interface Subject {
  readonly port: number
  readonly agent: Agent
  readonly body: string
  /** Microseconds of CPU time the server has used. */
  cpu(): Promise<number>
  stop(): Promise<void>
}

/** As the program is shipped: a loader for TypeScript would stay in the way of every function that is made. */
function bundle(directory: string) {
  return build({
    entryPoints: { server: join(import.meta.dirname, 'webhook-server.ts') },
    outdir: directory,
    outExtension: { '.js': '.mjs' },
    ...bundleSettings,
  })
}

async function start(kind: string, directory: string): Promise<Subject> {
  const files = ['server.mjs', 'serving.crt', 'serving.key'].map((file) => join(directory, file))
  const [script = '', ...pair] = files
  const server = spawn(process.execPath, [script, kind, ...pair], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  })
  const agent = new Agent({ keepAlive: true, maxSockets: connections, rejectUnauthorized: false })
  const [port] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [Buffer]
  return {
    port: Number(port.toString('utf8')),
    agent,
    body: aReview(),
    cpu: async () => {
      server.send('cpu')
      const [used] = (await once(server, 'message')) as [number]
      return used
    },
    stop: async () => {
      agent.destroy()
      server.kill()
      await once(server, 'exit')
    },
  }
}

async function measure(subject: Subject): Promise<Figures> {
  await send(subject, 500)
  const before = await subject.cpu()
  const times: number[] = []
  const begin = performance.now()
  await send(subject, reviews, times)
  const seconds = (performance.now() - begin) / 1000
  times.sort((a, b) => a - b)
  return {
    perSecond: Math.round(reviews / seconds),
    p99Ms: round(times[Math.floor(times.length * 0.99)] ?? 0),
    cpuUs: round(((await subject.cpu()) - before) / reviews),
  }
}

async function send(subject: Subject, total: number, times: number[] = []): Promise<void> {
  let next = 0
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (next++ < total) {
        const sent = performance.now()
        await review(subject)
        times.push(performance.now() - sent)
      }
    }),
  )
}

/** The text of the answer. */
function review({ port, agent, body }: Subject): Promise<string> {
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
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          response.statusCode === 200
            ? resolve(Buffer.concat(chunks).toString('utf8'))
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
