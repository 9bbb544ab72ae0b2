import { BlockList, isIP } from 'node:net'
import { domainToASCII } from 'node:url'

/**
 * Whether `NO_PROXY` exempts a host, as Go's `net/http` reads it: a comma-separated list of names (which
 * cover the names below them; with a leading `.` or `*.` only those), addresses, and networks in CIDR
 * notation; names and addresses with `:port` exempt that port only; `*` exempts everything. Entries that
 * are none of these are ignored.
 *
 * `host` is without brackets.
 */
export function isExempt(noProxy: string, host: string, port: number): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  return noProxy
    .split(',')
    .map((entry) => entry.trim().toLowerCase())
    .some((entry) => entry === '*' || (entry !== '' && matches(entry, name, port)))
}

/** Whether a host is this machine; such hosts are never reached through a proxy of the environment. */
export function isLoopback(host: string): boolean {
  return host.toLowerCase() === 'localhost' || isWithin(host, '127.0.0.0', 8) || isWithin(host, '::1', 128)
}

function matches(entry: string, name: string, port: number): boolean {
  const network = /^(.+)\/(\d{1,3})$/.exec(entry)
  if (network !== null) return isWithin(name, network[1] ?? '', Number(network[2]))
  const { host, only } = splitPort(entry)
  if (only !== undefined && only !== port) return false
  if (isIP(host) !== 0) return isWithin(name, host, isIP(host) === 4 ? 32 : 128)
  if (isIP(name) !== 0) return false
  const domain = domainToASCII(host.replace(/^\*?\./, ''))
  if (domain === '') return false
  return name.endsWith(`.${domain}`) || (name === domain && !/^\*?\./.test(host))
}

/** An entry's host without brackets, and its port where it names one. */
function splitPort(entry: string): { readonly host: string; readonly only?: number } {
  const parts = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d+))?$/.exec(entry)
  if (parts === null) return { host: entry }
  const host = parts[1] ?? parts[2] ?? ''
  return parts[3] === undefined ? { host } : { host, only: Number(parts[3]) }
}

function isWithin(address: string, network: string, bits: number): boolean {
  const family = isIP(address)
  const networkFamily = isIP(network)
  if (family === 0 || networkFamily === 0 || bits > (networkFamily === 4 ? 32 : 128)) return false
  const list = new BlockList()
  list.addSubnet(network, bits, networkFamily === 4 ? 'ipv4' : 'ipv6')
  // An IPv4 address may be written as an IPv6 one; BlockList looks through that.
  return list.check(address, family === 4 ? 'ipv4' : 'ipv6')
}
