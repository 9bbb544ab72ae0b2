import { BlockList, isIP } from 'node:net'
import type { Environment } from '@marcbachmann/cel-js'

class CelUrl {
  readonly url: URL

  constructor(text: string) {
    this.url = new URL(text)
  }
}

class CelIp {
  readonly address: string

  constructor(text: string) {
    if (isIP(text) === 0 || text.includes('%'))
      throw new Error(`IP Address ${JSON.stringify(text)} parse error`)
    this.address = text
  }

  get family(): 4 | 6 {
    return isIP(this.address) as 4 | 6
  }

  isIn(block: CelCidr): boolean {
    return block.has(this)
  }
}

class CelCidr {
  readonly ip: CelIp
  readonly length: number
  readonly #block = new BlockList()

  constructor(text: string) {
    const [address = '', length = '', more] = text.split('/')
    const family = isIP(address)
    const isGood = family !== 0 && more === undefined && /^\d{1,3}$/.test(length) && !address.includes('%')
    if (!isGood || Number(length) > (family === 4 ? 32 : 128))
      throw new Error(`network address parse error during conversion from string: ${JSON.stringify(text)}`)
    this.ip = new CelIp(address)
    this.length = Number(length)
    this.#block.addSubnet(address, this.length, this.#familyName(this.ip))
  }

  has(ip: CelIp): boolean {
    return ip.family === this.ip.family && this.#block.check(ip.address, this.#familyName(ip))
  }

  #familyName(ip: CelIp): 'ipv4' | 'ipv6' {
    return ip.family === 4 ? 'ipv4' : 'ipv6'
  }
}

const isCidr = (text: string): boolean => {
  try {
    return new CelCidr(text).length >= 0
  } catch {
    return false
  }
}

const blocks = (...texts: string[]) => texts.map((text) => new CelCidr(text))
const loopback = blocks('127.0.0.0/8', '::1/128')
const unspecified = blocks('0.0.0.0/32', '::/128')
const linkLocalUnicast = blocks('169.254.0.0/16', 'fe80::/10')
const linkLocalMulticast = blocks('224.0.0.0/24', 'ff02::/16')
const multicast = blocks('224.0.0.0/4', 'ff00::/8')
const broadcast = blocks('255.255.255.255/32')

/** Adds URLs, IP addresses and CIDR blocks, as the Kubernetes libraries `url`, `ip` and `cidr` have them. */
export function addAddressFunctions(environment: Environment): void {
  addUrlFunctions(environment)
  addIpFunctions(environment)
  addCidrFunctions(environment)
}

function addUrlFunctions(environment: Environment): void {
  const define = environment.registerFunction.bind(environment)
  environment.registerType('kubernetes.URL', CelUrl)
  define('isURL(string): bool', (text: string) => URL.canParse(text))
  define('url(string): kubernetes.URL', (text: string) => {
    if (!URL.canParse(text))
      throw new Error(`URL parse error during conversion from string: ${JSON.stringify(text)}`)
    return new CelUrl(text)
  })
  define('kubernetes.URL.getScheme(): string', ({ url }: CelUrl) => url.protocol.slice(0, -1))
  define('kubernetes.URL.getHost(): string', ({ url }: CelUrl) => url.host)
  define('kubernetes.URL.getHostname(): string', ({ url }: CelUrl) => url.hostname.replace(/^\[|\]$/g, ''))
  define('kubernetes.URL.getPort(): string', ({ url }: CelUrl) => url.port)
  define('kubernetes.URL.getEscapedPath(): string', ({ url }: CelUrl) => url.pathname)
}

function addIpFunctions(environment: Environment): void {
  const define = environment.registerFunction.bind(environment)
  environment.registerType('net.IP', CelIp)
  define('isIP(string): bool', (text: string) => isIP(text) !== 0 && !text.includes('%'))
  define('ip(string): net.IP', (text: string) => new CelIp(text))
  define('net.IP.family(): int', (ip: CelIp) => BigInt(ip.family))
  const isInOneOf = (name: string, wanted: readonly CelCidr[]) =>
    define(`net.IP.${name}(): bool`, (ip: CelIp) => wanted.some((block) => ip.isIn(block)))
  isInOneOf('isLoopback', loopback)
  isInOneOf('isUnspecified', unspecified)
  isInOneOf('isLinkLocalUnicast', linkLocalUnicast)
  isInOneOf('isLinkLocalMulticast', linkLocalMulticast)
  const notGlobal = [...loopback, ...unspecified, ...linkLocalUnicast, ...multicast, ...broadcast]
  define('net.IP.isGlobalUnicast(): bool', (ip: CelIp) => !notGlobal.some((block) => ip.isIn(block)))
}

function addCidrFunctions(environment: Environment): void {
  const define = environment.registerFunction.bind(environment)
  environment.registerType('net.CIDR', CelCidr)
  define('isCIDR(string): bool', isCidr)
  define('cidr(string): net.CIDR', (text: string) => new CelCidr(text))
  define('net.CIDR.ip(): net.IP', (cidr: CelCidr) => cidr.ip)
  define('net.CIDR.prefixLength(): int', (cidr: CelCidr) => BigInt(cidr.length))
  define('net.CIDR.containsIP(net.IP): bool', (cidr: CelCidr, ip: CelIp) => cidr.has(ip))
  define('net.CIDR.containsIP(string): bool', (cidr: CelCidr, text: string) => cidr.has(new CelIp(text)))
  const holds = (outer: CelCidr, inner: CelCidr) => inner.length >= outer.length && outer.has(inner.ip)
  define('net.CIDR.containsCIDR(net.CIDR): bool', holds)
  define('net.CIDR.containsCIDR(string): bool', (outer: CelCidr, text: string) =>
    holds(outer, new CelCidr(text)),
  )
}
