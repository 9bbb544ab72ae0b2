import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestApiServer } from '@outrigger/testkit'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'

/** `outrigger manager` in a process of its own, against an API server of a test. */
export interface ManagerProcess extends OutriggerProcess {
  /** GET of its probe server: the status, or undefined when it does not answer within a second. */
  probe(path: '/healthz' | '/readyz'): Promise<number | undefined>
  /** The page of `/metrics`. */
  metrics(): Promise<string>
}

/** Starts one; resolves when its webhooks are registered. */
export async function startManagerProcess(
  server: TestApiServer,
  args: readonly string[] = [],
): Promise<ManagerProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'outrigger-fault-'))
  const kubeconfig = join(folder, 'kubeconfig')
  await writeFile(kubeconfig, server.kubeconfig(), { mode: 0o600 })
  const manager = startOutrigger(
    [
      'manager',
      `--kubeconfig=${kubeconfig}`,
      '--webhook-port=0',
      '--metrics-addr=127.0.0.1:0',
      '--health-probe-addr=127.0.0.1:0',
      '--enable-leader-election=false',
      ...args,
    ],
    { PATH: process.env['PATH'] },
  )
  await manager.saw(/The manager is ready/, 30_000)
  await rm(folder, { recursive: true, force: true })
  const portOf = (name: string) =>
    new RegExp(`"${name} listens".*?port"?[=:](\\d+)`).exec(manager.output())?.[1]
  const ask = (name: string, path: string) =>
    fetch(`http://127.0.0.1:${portOf(name)}${path}`, { signal: AbortSignal.timeout(1_000) })
  return {
    ...manager,
    probe: (path) =>
      ask('probe server', path).then(
        ({ status }) => status,
        () => undefined,
      ),
    metrics: async () => (await ask('metrics server', '/metrics')).text(),
  }
}
