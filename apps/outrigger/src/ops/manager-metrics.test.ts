import { expect, test } from 'vitest'
import { createManagerMetrics } from './manager-metrics.ts'

test('leaves out the lag of the event loop where nothing was measured since the last page', async () => {
  const page = await createManagerMetrics({
    version: 'v0.0.0',
    host: 'localhost:6443',
    traffic: { requests: new Map() },
    isReady: () => true,
    statistics: () => undefined,
  })

  await page()
  const { body } = await page()

  expect(body).toContain('nodejs_eventloop_lag_seconds')
  expect(body).not.toMatch(/ Nan$/m)
  expect(body).not.toMatch(/^nodejs_eventloop_lag_min_seconds 9223372036/m)
})
