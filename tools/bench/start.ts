import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startOutrigger } from '../../tests/story/outrigger-process.ts'
import { readTarget, residentMegabytes } from './cluster.ts'
import { round, type Target } from './load.ts'

/** From process start to an API that answers and to two ready nodes, on a fresh folder and on a used one; idle memory. */
export async function benchStart(): Promise<unknown> {
  const directory = await mkdtemp(join(tmpdir(), 'outrigger-bench-'))
  try {
    return {
      bareNodeProcessSeconds: await bareNode(),
      first: await once(directory),
      again: await once(directory),
      goals: { apiReadySeconds: 1, nodesReadySeconds: 2, idleMegabytes: 200 },
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

async function once(directory: string): Promise<unknown> {
  const kubeconfig = join(directory, 'kubeconfig')
  await rm(kubeconfig, { force: true })
  const begin = performance.now()
  const child = startOutrigger(
    [
      'up',
      '--runtime',
      'sim',
      '--port',
      '0',
      '--data-dir',
      join(directory, 'data'),
      '--kubeconfig',
      kubeconfig,
    ],
    process.env,
  )
  const target = await until(async () => (existsSync(kubeconfig) ? readTarget(kubeconfig) : undefined))
  await until(async () => ((await ask(target, '/readyz')) === 'ok' ? true : undefined))
  const apiReady = performance.now() - begin
  await until(async () => {
    const list = JSON.parse(await ask(target, '/api/v1/nodes')) as {
      items?: { status?: { conditions?: { type: string; status: string }[] } }[]
    }
    const ready = (list.items ?? []).filter((node) =>
      node.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
    )
    return ready.length === 2 ? true : undefined
  })
  const nodesReady = performance.now() - begin
  await child.saw(/^Outrigger is up/m)
  await new Promise((wake) => setTimeout(wake, 15_000))
  const idle = residentMegabytes(child.child.pid ?? 0)
  await child.stop()
  return {
    apiReadySeconds: round(apiReady / 1000),
    nodesReadySeconds: round(nodesReady / 1000),
    idleMegabytes: idle,
  }
}

async function bareNode(): Promise<number> {
  const begin = performance.now()
  await new Promise((resolve) => spawn(process.execPath, ['-e', '0']).on('exit', resolve))
  return round((performance.now() - begin) / 1000)
}

async function until<T>(ask: () => Promise<T | undefined>): Promise<T> {
  for (const deadline = performance.now() + 30_000; performance.now() < deadline; ) {
    const answer = await ask().catch(() => undefined)
    if (answer !== undefined) return answer
    await new Promise((wake) => setTimeout(wake, 10))
  }
  throw new Error('the cluster did not get ready within 30 s')
}

function ask(target: Target, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    get(
      `${target.url}${path}`,
      { ca: target.ca, headers: { authorization: `Bearer ${target.token}` } },
      (response) => {
        let text = ''
        response.on('data', (chunk: Buffer) => {
          text += chunk.toString('utf8')
        })
        response.on('end', () => resolve(text))
      },
    ).on('error', reject)
  })
}
