export interface NetworkFacts {
  readonly bridge: string
  /** `10.123.4.0/22`, as `chooseSubnet` gave it. */
  readonly subnet: string
  /** Folder in which the addresses in use are noted. */
  readonly addressFolder: string
  readonly hasPortmap: boolean
  /** Docker forbids forwarding for everybody else; the firewall plugin then lets our pods through. */
  readonly needsFirewall: boolean
}

/** The CNI network of a node: a bridge of its own, addresses from its own subnet, the outside masqueraded. */
export function networkConfig(facts: NetworkFacts): object {
  return {
    cniVersion: '0.4.0',
    name: facts.bridge,
    plugins: [
      {
        type: 'bridge',
        bridge: facts.bridge,
        isGateway: true,
        forceAddress: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: facts.addressFolder,
          ranges: [[{ subnet: facts.subnet }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      ...(facts.hasPortmap ? [{ type: 'portmap', capabilities: { portMappings: true } }] : []),
      ...(facts.needsFirewall ? [{ type: 'firewall' }] : []),
    ],
  }
}

/** An IPv4 network: first address and number of leading bits that count. */
export interface Subnet {
  readonly address: number
  readonly bits: number
}

const size = 22
/** Networks of this size between 10.100.0.0 and 10.227.255.255, which home routers and clouds rarely use. */
const choices = 128 * 64

/**
 * A network for about a thousand pods that overlaps none of those in use. `seed` says where to begin, so
 * that a data folder tends to keep its network. Undefined when all are taken.
 */
export function chooseSubnet(seed: number, taken: readonly Subnet[]): string | undefined {
  for (let attempt = 0; attempt < choices; attempt++) {
    const choice = (seed + attempt) % choices
    const address = (10 << 24) + ((100 << 16) + choice * 1024)
    if (taken.every((other) => !overlap({ address, bits: size }, other))) return `${dotted(address)}/${size}`
  }
  return undefined
}

function overlap(a: Subnet, b: Subnet): boolean {
  const bits = Math.min(a.bits, b.bits)
  if (bits === 0) return false
  return a.address >>> (32 - bits) === b.address >>> (32 - bits)
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

/** Reads `/proc/net/route`: networks the machine has routes to. The default route counts as none. */
export function parseRoutes(table: string): readonly Subnet[] {
  const subnets: Subnet[] = []
  for (const line of table.split('\n').slice(1)) {
    const [, destination, , , , , , mask] = line.split(/\s+/)
    if (destination === undefined || mask === undefined) continue
    const bits = [...Number.parseInt(mask, 16).toString(2)].filter((digit) => digit === '1').length
    if (bits > 0) subnets.push({ address: fromKernel(destination), bits })
  }
  return subnets
}

/** The kernel prints addresses as little-endian words. */
function fromKernel(hex: string): number {
  return Buffer.from(hex.padStart(8, '0'), 'hex').readUInt32LE(0)
}
