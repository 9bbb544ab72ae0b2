import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { configToml } from './config-toml.ts'
import { parseMountPoints } from './leftovers.ts'
import { containerdPlaces } from './places.ts'
import { chooseSubnet, parseRoutes } from './pod-network.ts'

const routes = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010010AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0000640A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
`

describe('chooseSubnet', () => {
  test('begins where the seed says', () => {
    expect(chooseSubnet(0, [])).toBe('10.100.0.0/22')
    expect(chooseSubnet(65, [])).toBe('10.101.4.0/22')
  })

  test('keeps clear of networks the machine has routes to', () => {
    expect(parseRoutes(routes)).toEqual([{ address: 0x0a640000, bits: 16 }])
    expect(chooseSubnet(0, parseRoutes(routes))).toBe('10.101.0.0/22')
    expect(chooseSubnet(0, [{ address: 0x0a000000, bits: 8 }])).toBeUndefined()
  })

  test('stays between 10.100.0.0 and 10.227.255.255 whatever the seed', () => {
    fc.assert(
      fc.property(fc.nat(0xffffff), (seed) => {
        const [, second] = chooseSubnet(seed, [])?.split('.') ?? []
        expect(Number(second)).toBeGreaterThanOrEqual(100)
        expect(Number(second)).toBeLessThanOrEqual(227)
      }),
    )
  })
})

describe('containerdPlaces', () => {
  test('keeps sockets short and apart for every data folder', () => {
    const long = containerdPlaces(`/data/${'x'.repeat(300)}`)
    const other = containerdPlaces('/data')
    expect(Buffer.byteLength(long.socket)).toBeLessThan(100)
    expect(long.bridge.length).toBeLessThanOrEqual(15)
    expect([long.socket, long.bridge]).not.toEqual([other.socket, other.bridge])
    expect(containerdPlaces('/data')).toEqual(other)
  })
})

describe('configToml', () => {
  test('restricts the out-of-memory score only where it must', () => {
    const facts = {
      places: containerdPlaces('/data/"odd"'),
      cniBinaries: '/usr/lib/cni',
      sandboxImage: 'localhost/pause:1',
      mayLowerOomScore: true,
      usesSystemdCgroups: false,
      registryConfig: undefined,
    }
    expect(configToml(facts)).toContain('restrict_oom_score_adj = false')
    expect(configToml(facts)).toContain('root = "/data/\\"odd\\"/containerd/root"')
    expect(configToml({ ...facts, mayLowerOomScore: false })).toContain('restrict_oom_score_adj = true')
  })
})

describe('parseMountPoints', () => {
  test('reads the fifth column and its escapes', () => {
    expect(parseMountPoints('1 2 0:1 / /a\\040b rw - tmpfs x rw\n')).toEqual(['/a b'])
  })
})
