import { expect, test } from 'vitest'
import { readResource } from './field-ref.ts'

test.each([
  { limit: '100m', divisor: '1m', seen: '100' },
  { limit: '1100m', divisor: undefined, seen: '2' },
  { limit: '300m', divisor: '100m', seen: '3' },
  { limit: '1', divisor: '1Ei', seen: '1' },
])('a limit of $limit in units of $divisor reads $seen', ({ limit, divisor, seen }) => {
  const container = { name: 'main', image: 'app', resources: { limits: { cpu: limit } } }
  const place = { nodeName: 'node-1', podIps: [], hostIps: [], allocatable: {} }
  const ref = { resource: 'limits.cpu', ...(divisor !== undefined && { divisor }) }
  expect(readResource([container], container, ref, place)).toBe(seen)
})
