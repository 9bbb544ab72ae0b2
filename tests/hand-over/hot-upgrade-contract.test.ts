import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ClauseVerdict } from '../../apps/outrigger/src/conformance/hot-upgrade-clauses.ts'
import { canRunContainers } from '../story/can-run-containers.ts'
import { type OutriggerProcess, program, startOutrigger } from '../story/outrigger-process.ts'
import { importGreeterImages } from './greeter-images.ts'

const obstacle = canRunContainers()
const sidecarSet = resolve(import.meta.dirname, '../../examples/hand-over/sidecarset.yaml')

interface Trial {
  readonly exitCode: number
  readonly said: string
  readonly clauses: readonly ClauseVerdict[]
}

// The simulated runtime has no sockets to hand over: tests/journey/conformance.test.ts tries the rest there.
describe.skipIf(obstacle !== undefined)('on real containers', () => {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-hand-over-'))
  const kubeconfig = join(directory, 'kubeconfig')
  let cluster: OutriggerProcess

  beforeAll(async () => {
    const places = ['--data-dir', join(directory, 'data'), '--kubeconfig', kubeconfig]
    cluster = startOutrigger(
      ['up', '--port', '0', '--runtime', 'containerd', '--ephemeral', ...places],
      process.env,
    )
    await cluster.saw(/try +kubectl/, 120_000)
    const [, socket = ''] = cluster.output().match(/unix:\/\/(\S+containerd\.sock)/) ?? []
    await importGreeterImages(socket)
  }, 240_000)

  afterAll(async () => {
    await cluster?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  const attempt = (...args: string[]) =>
    new Promise<Trial>((done) => {
      const all = ['conformance', 'hot-upgrade', '--kubeconfig', kubeconfig, '-f', sidecarSet, '-o', 'json']
      const request = ['--url', 'http://127.0.0.1:8080/']
      execFile(process.execPath, [program, ...all, ...request, ...args], (error, out, said) => {
        const exitCode = error === null ? 0 : Number(error.code)
        done({ exitCode, said: `${said}${out}`, clauses: out === '' ? [] : JSON.parse(out).clauses })
      })
    })

  const thoseThat = (outcome: ClauseVerdict['outcome'], { clauses }: Trial) =>
    clauses.filter((verdict) => verdict.outcome === outcome).map(({ clause }) => clause)

  test.concurrent('a sidecar that hands its socket over keeps every clause', async () => {
    const trial = await attempt('--to', 'example/greeter:2')

    expect(thoseThat('held', trial), trial.said).toHaveLength(12)
    expect(trial.exitCode).toBe(0)
    const handsOver = trial.clauses.find(({ clause }) => clause === 'hands-over')
    expect(handsOver?.figures).toMatchObject({ failed: 0 })
    expect(handsOver?.figures?.requests).toBeGreaterThan(10)
    expect(handsOver?.figures?.bothRan).toBeGreaterThanOrEqual(1_000)
  }, 300_000)

  test.concurrent('a sidecar that waits for the port to become free loses requests where the old one stops', async () => {
    const skipped = ['new-restarts', 'goes-back', 'old-restarts'].flatMap((clause) => ['--skip', clause])
    const trial = await attempt('--from', 'example/waiter:1', '--to', 'example/waiter:2', ...skipped)

    expect(thoseThat('failed', trial), trial.said).toEqual(['hands-over', 'own-pace'])
    expect(thoseThat('left out', trial)).toEqual(['new-restarts', 'goes-back', 'old-restarts'])
    expect(trial.exitCode).toBe(1)
    expect(trial.clauses.find(({ clause }) => clause === 'hands-over')?.reason).toMatch(
      /^\d+ of \d+ requests failed, .*refused/,
    )
  }, 300_000)

  test.concurrent('a sidecar that ends where the port is taken is named for it', async () => {
    const trial = await attempt(
      '--from',
      'example/crasher:1',
      '--to',
      'example/crasher:2',
      '--timeout',
      '20s',
    )

    expect(thoseThat('failed', trial), trial.said).toEqual(['starts-beside'])
    expect(thoseThat('held', trial)).toEqual(['injected', 'serves'])
    expect(trial.exitCode).toBe(1)
  }, 300_000)
})
