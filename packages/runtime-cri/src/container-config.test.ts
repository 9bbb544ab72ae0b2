import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { podCgroupParent } from './cgroup-parent.ts'
import { linuxResources } from './container-config.ts'
import { sandboxFacts, withoutFacts } from './sandbox-config.ts'

const none = { cpuRequestMillis: 0, cpuLimitMillis: 0, memoryLimit: 0, oomScoreAdjust: 0 }

describe('linuxResources', () => {
  test('turns thousandths of a CPU into shares and quota', () => {
    const given = { ...none, cpuRequestMillis: 250, cpuLimitMillis: 1500, memoryLimit: 1 << 20 }
    expect(linuxResources(given)).toEqual({
      cpuShares: 256,
      cpuPeriod: 100_000,
      cpuQuota: 150_000,
      memoryLimitInBytes: 1 << 20,
      oomScoreAdj: 0,
    })
  })

  test('gives the least shares and no quota when nothing was asked for', () => {
    expect(linuxResources(none)).toEqual({ cpuShares: 2, memoryLimitInBytes: 0, oomScoreAdj: 0 })
  })

  test('weighs by the limit when there is no request', () => {
    expect(linuxResources({ ...none, cpuLimitMillis: 5 })).toMatchObject({ cpuShares: 5, cpuQuota: 1000 })
  })

  test('never leaves the range of the kernel', () => {
    fc.assert(
      fc.property(fc.nat(1e7), fc.nat(1e7), (cpuRequestMillis, cpuLimitMillis) => {
        const { cpuShares, cpuQuota } = linuxResources({ ...none, cpuRequestMillis, cpuLimitMillis })
        expect(cpuShares).toBeGreaterThanOrEqual(2)
        expect(cpuShares).toBeLessThanOrEqual(262_144)
        if (cpuQuota !== undefined) expect(cpuQuota).toBeGreaterThanOrEqual(1000)
      }),
    )
  })
})

describe('podCgroupParent', () => {
  test('is a path for folders and a slice for systemd', () => {
    expect(podCgroupParent('cgroupfs', 'node-1', 'Burstable', 'a-b')).toBe(
      '/outrigger/node-1/burstable/poda-b',
    )
    expect(podCgroupParent('cgroupfs', 'node-1', 'Guaranteed', 'a-b')).toBe('/outrigger/node-1/poda-b')
    expect(podCgroupParent('systemd', 'node-1', 'BestEffort', 'a-b')).toBe(
      'outrigger-node_1-besteffort-poda_b.slice',
    )
  })
})

describe('sandboxFacts', () => {
  test('are undefined for what others wrote', () => {
    for (const text of ['', '{', 'null', '{}', '{"logDirectory":1}']) {
      expect(sandboxFacts({ 'outrigger.io/sandbox-facts': text })).toBeUndefined()
    }
    expect(sandboxFacts({})).toBeUndefined()
    expect(withoutFacts({ a: 'b', 'outrigger.io/sandbox-facts': '{}' })).toEqual({ a: 'b' })
  })
})
