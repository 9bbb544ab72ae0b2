import { ManualClock, settle } from '@outrigger/foundation/testing'
import { expect, test } from 'vitest'
import type { PodRuntime } from '../runtime.ts'
import { attemptProbe, type ProbeOutcome, type ProbeTarget } from './probe-attempt.ts'
import { ProbeLoop } from './probe-loop.ts'

function aLoop(clock: ManualClock, outcomes: readonly ProbeOutcome['verdict'][]) {
  const told: string[] = []
  let next = 0
  const loop = new ProbeLoop({
    probe: { periodSeconds: 1, failureThreshold: 1 },
    clock,
    startedAt: clock.now(),
    initially: undefined,
    attempt: async () => ({ verdict: outcomes[next++] ?? 'success', output: 'so' }),
    isWanted: () => true,
    onFailure: () => told.push('failure'),
    onUnknown: () => told.push('unknown'),
    onTurn: (isPassing) => told.push(isPassing ? 'passing' : 'failing'),
  })
  loop.start()
  return { loop, told }
}

test('a probe that cannot be made says nothing of the container, and is told of when that lasts', async () => {
  const clock = new ManualClock()
  const { loop, told } = aLoop(clock, ['success', 'unknown', 'success', 'unknown', 'unknown', 'failure'])
  for (let second = 0; second < 7; second++) {
    await clock.advance(1_000)
    await settle(5)
  }
  loop.stop()
  expect(told.slice(0, 4)).toEqual(['passing', 'unknown', 'failure', 'failing'])
})

test('a command that cannot be started is unknown, a port that does not answer has failed', async () => {
  const runtime = { execSync: () => Promise.reject(new Error('task not found')) } as unknown as PodRuntime
  const target = {
    container: { name: 'main' },
    containerId: 'x',
    podIp: '10.0.0.1',
    dial: () => Promise.reject(new Error('connection refused')),
  } as unknown as ProbeTarget
  const clock = new ManualClock()
  const { signal } = new AbortController()
  const verdict = async (probe: object) => (await attemptProbe(probe, target, runtime, clock, signal)).verdict
  expect(await verdict({ exec: { command: ['true'] } })).toBe('unknown')
  expect(await verdict({ tcpSocket: { port: 1 } })).toBe('failure')
})
