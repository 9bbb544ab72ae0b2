import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ApiServer, createApiServer } from '@outrigger/apiserver'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { SystemClock, SystemRandom, silentLogger } from '@outrigger/foundation'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import expectedFailures from './expected-failures.json' with { type: 'json' }
// biome-ignore lint/correctness/useImportExtensions: only the declarations of this script are TypeScript
import { Client, checkStep, Matcher, newVariables, runScenario, type Scenario } from './replay.mjs'

const recorded = join(import.meta.dirname, 'recorded')
const token = 'conformance'
const scenarios: readonly Scenario[] = readdirSync(recorded)
  .sort()
  .flatMap((area) =>
    readdirSync(join(recorded, area))
      .sort()
      .map((file) => JSON.parse(readFileSync(join(recorded, area, file), 'utf8')) as Scenario),
  )

/** Scenarios we do not pass, each with the reason. */
const known = new Map<string, string>(Object.entries(expectedFailures))

async function startServer(signal: AbortSignal): Promise<{ server: ApiServer; running: Promise<void> }> {
  const now = Date.now()
  const authority = await createAuthority({ commonName: 'conformance', now })
  const { certificate, privateKey } = await issueCertificate(authority, {
    commonName: 'apiserver',
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
  const server = createApiServer({
    clock: new SystemClock(),
    random: new SystemRandom(),
    logger: silentLogger,
    listen: { host: '127.0.0.1', port: 0 },
    tls: { certificate, key: privateKey },
    tokens: [{ token, user: { name: 'admin', groups: ['system:masters'] } }],
  })
  return { server, running: server.run(signal) }
}

async function replay(client: Client, scenario: Scenario): Promise<string[]> {
  const variables = newVariables()
  const matcher = new Matcher(scenario, variables)
  const problems: string[] = []
  await runScenario(client, scenario, variables, (step, answer, index) => {
    const label = step.collect === undefined ? `${step.method} ${step.path}` : `collect ${step.collect}`
    for (const difference of checkStep(matcher, scenario, step, answer))
      problems.push(`step ${index + 1} ${label}: ${difference}`)
  })
  return problems
}

describe('the embedded API server answers as kube-apiserver 1.36 did', () => {
  const stop = new AbortController()
  let running: Promise<void>
  let client: Client

  beforeAll(async () => {
    const started = await startServer(stop.signal)
    running = started.running
    const { url } = await started.server.ready
    client = new Client({ server: url, token, insecure: true })
  })

  afterAll(async () => {
    client.close()
    stop.abort()
    await running
  })

  for (const isSerial of [false, true])
    for (const scenario of scenarios.filter((one) => (one.serial ?? false) === isSerial)) {
      const name = `${scenario.area}/${scenario.name}`
      const run = isSerial ? it : it.concurrent
      const reason = known.get(name)
      run(reason === undefined ? name : `${name} (not yet: ${reason})`, async () => {
        const problems = await replay(client, scenario)
        if (reason === undefined) expect(problems).toEqual([])
        else expect(problems, `${name} passes now: take it off the list`).not.toEqual([])
      })
    }

  it('lists only scenarios that exist as expected failures', () => {
    const names = new Set(scenarios.map((scenario) => `${scenario.area}/${scenario.name}`))
    expect([...known.keys()].filter((name) => !names.has(name))).toEqual([])
  })
})
