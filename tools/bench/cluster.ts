import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseYaml } from '@outrigger/kube'
import { type OutriggerProcess, startOutrigger } from '../../tests/story/outrigger-process.ts'
import type { Target } from './load.ts'

export interface BenchCluster {
  readonly process: OutriggerProcess
  readonly target: Target
  readonly directory: string
  /** Milliseconds from the start of the process. */
  readonly started: number
  stop(): Promise<void>
}

/** Starts `outrigger ARGS` on a fresh data directory, or on one that is handed in. */
export async function startBenchCluster(args: readonly string[], given?: string): Promise<BenchCluster> {
  const directory = given ?? (await mkdtemp(join(tmpdir(), 'outrigger-bench-')))
  const kubeconfig = join(directory, 'kubeconfig')
  const started = performance.now()
  const child = startOutrigger(
    [...args, '--port', '0', '--data-dir', join(directory, 'data'), '--kubeconfig', kubeconfig],
    process.env,
  )
  const [, url = ''] = await child.saw(/is up[^:]*: (https:\S+)/, 120_000)
  return {
    process: child,
    target: { ...readTarget(kubeconfig), url },
    directory,
    started,
    async stop() {
      await child.stop()
      if (given === undefined) await rm(directory, { recursive: true, force: true })
    },
  }
}

interface Kubeconfig {
  readonly clusters: readonly {
    readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string }
  }[]
  readonly users: readonly { readonly user: { readonly token: string } }[]
}

export function readTarget(kubeconfig: string): Target {
  const config = parseYaml(readFileSync(kubeconfig, 'utf8')) as Kubeconfig
  const cluster = config.clusters[0]?.cluster
  return {
    url: cluster?.server ?? '',
    ca: Buffer.from(cluster?.['certificate-authority-data'] ?? '', 'base64').toString('utf8'),
    token: config.users[0]?.user.token ?? '',
  }
}

/** Resident memory of a process in megabytes. */
export function residentMegabytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Math.round(Number(line?.[1] ?? 0) / 1024)
}
