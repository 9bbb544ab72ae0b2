import { resources, type Service } from '@outrigger/kube'
import type { KindsEnvironment } from '../environment.ts'

/** Cluster IPs and node ports: which are taken, and new ones. */
export interface ServiceAddresses {
  /** A free cluster IP, held for the service about to be written. Undefined when the range is full. */
  drawIp(): string | undefined
  drawPort(): number | undefined
  /** Why a service cannot have this IP. */
  ipProblem(ip: string, service: Service): string | undefined
  portProblem(port: number, service: Service): string | undefined
  /** Keeps the books right after a write. */
  remember(type: 'created' | 'updated' | 'deleted', service: Service): void
}

const defaultCidr = '10.96.0.0/16'
const defaultPorts = [30000, 32767] as const
/** How long a drawn address stays held for a write that may yet fail. */
const holdFor = 30_000
const attempts = 64

/** The address of the Service `default/kubernetes`: the first of the range. */
export function apiServiceIp(cidr: string = defaultCidr): string {
  return formatIp(parseCidr(cidr).base + 1)
}

/**
 * Keeps the addresses of all services in two maps, filled once from what is stored and then kept up by every
 * write, so that drawing one costs the same however many there are.
 */
export function createServiceAddresses({
  objects,
  clock,
  random,
  ...limits
}: KindsEnvironment): ServiceAddresses {
  const range = parseCidr(limits.serviceCidr ?? defaultCidr)
  const [firstPort, lastPort] = limits.nodePortRange ?? defaultPorts
  const ips = new Owners<string>()
  const ports = new Owners<number>()
  let isLoaded = false

  const load = () => {
    if (isLoaded) return
    isLoaded = true
    // The first address of the range is the API server's own.
    ips.set(formatIp(range.base + 1), 'default/kubernetes')
    for (const service of objects.list<Service>(resources.services)) take(service)
  }
  const take = (service: Service) => {
    const owner = ownerOf(service)
    for (const ip of service.spec?.clusterIPs ?? []) if (ip !== 'None') ips.set(ip, owner)
    for (const port of service.spec?.ports ?? []) if (port.nodePort) ports.set(port.nodePort, owner)
  }
  const draw = <Address>(owners: Owners<Address>, size: number, at: (offset: number) => Address) => {
    load()
    const now = clock.monotonic()
    const begin = Math.floor(random.next() * size)
    const tries = owners.size > size / 2 ? size : attempts
    for (let step = 0; step < tries; step++) {
      const address = at((begin + step) % size)
      if (!owners.isFree(address, now)) continue
      owners.hold(address, now + holdFor)
      return address
    }
    return undefined
  }
  return {
    // Neither the network's own address, nor the server's, nor the broadcast one.
    drawIp: () => draw(ips, range.size - 3, (offset) => formatIp(range.base + 2 + offset)),
    drawPort: () => draw(ports, lastPort - firstPort + 1, (offset) => firstPort + offset),
    ipProblem(ip, service) {
      load()
      const owner = ips.get(ip)
      if (owner !== undefined && owner !== ownerOf(service))
        return `failed to allocate IP ${ip}: provided IP is already allocated`
      return undefined
    },
    portProblem(port, service) {
      load()
      if (port < firstPort || port > lastPort)
        return `provided port is not in the valid range. The range of valid ports is ${firstPort}-${lastPort}`
      const owner = ports.get(port)
      return owner !== undefined && owner !== ownerOf(service)
        ? 'provided port is already allocated'
        : undefined
    },
    remember(type, service) {
      load()
      const owner = ownerOf(service)
      ips.release(owner)
      ports.release(owner)
      if (type !== 'deleted') take(service)
    },
  }
}

const ownerOf = ({ metadata }: Service) => `${metadata.namespace ?? ''}/${metadata.name ?? ''}`

/** Who has which address, both ways, and what is held for a moment. */
class Owners<Address> {
  readonly #owners = new Map<Address, string>()
  readonly #addresses = new Map<string, Set<Address>>()
  readonly #heldUntil = new Map<Address, number>()

  get size(): number {
    return this.#owners.size + this.#heldUntil.size
  }

  get(address: Address): string | undefined {
    return this.#owners.get(address)
  }

  set(address: Address, owner: string): void {
    this.#heldUntil.delete(address)
    this.#owners.set(address, owner)
    const addresses = this.#addresses.get(owner)
    if (addresses === undefined) this.#addresses.set(owner, new Set([address]))
    else addresses.add(address)
  }

  release(owner: string): void {
    for (const address of this.#addresses.get(owner) ?? [])
      if (this.#owners.get(address) === owner) this.#owners.delete(address)
    this.#addresses.delete(owner)
  }

  isFree(address: Address, now: number): boolean {
    if (this.#owners.has(address)) return false
    const until = this.#heldUntil.get(address)
    if (until === undefined) return true
    if (until > now) return false
    this.#heldUntil.delete(address)
    return true
  }

  hold(address: Address, until: number): void {
    this.#heldUntil.set(address, until)
  }
}

function parseCidr(cidr: string): { readonly base: number; readonly size: number } {
  const [address = '', bits = '16'] = cidr.split('/')
  const size = 2 ** (32 - Number(bits))
  let base = 0
  for (const part of address.split('.')) base = base * 256 + Number(part)
  return { base: Math.floor(base / size) * size, size }
}

function formatIp(value: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')
}
