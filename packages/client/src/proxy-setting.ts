import { UserError } from '@outrigger/foundation'
import { isExempt, isLoopback } from './no-proxy.ts'
import { hostOf, portOf } from './server-address.ts'

/** A proxy between us and the API server. Its URL may hold a password: never log it. */
export interface ProxySetting {
  /**
   * `http://`, `https://` (the connection to the proxy itself is encrypted too) or `socks5://`, each with
   * `user:password@` where the proxy asks for it.
   */
  readonly url: string
  /** Where the setting stands, for error messages: `HTTPS_PROXY`, or a field of a kubeconfig. */
  readonly source: string
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxy that the environment names for a server, by the rules of Go's `net/http`: `HTTPS_PROXY` for
 * `https://` servers and `HTTP_PROXY` for `http://` ones, not for what `NO_PROXY` exempts and never for
 * this machine. Each name counts in lower case too. A value without a scheme means `http://`.
 *
 * @throws UserError for a value that is no usable proxy; the value itself is not quoted.
 */
export function environmentProxy(server: string, environment: Environment): ProxySetting | undefined {
  const url = new URL(server)
  const source = firstSet(environment, url.protocol === 'http:' ? 'HTTP_PROXY' : 'HTTPS_PROXY')
  if (source === undefined) return undefined
  const host = hostOf(url)
  const exempted = firstSet(environment, 'NO_PROXY')
  const noProxy = exempted === undefined ? '' : (environment[exempted] ?? '')
  if (isLoopback(host) || isExempt(noProxy, host, portOf(url))) return undefined
  const value = environment[source]?.trim() ?? ''
  return proxySetting(value.includes('://') ? value : `http://${value}`, source)
}

/** A proxy from the text of its URL. @throws UserError when it is none, which does not quote it. */
export function proxySetting(text: string, source: string): ProxySetting {
  if (!URL.canParse(text))
    throw new UserError(`the proxy in ${source} is not a URL`, 'give it as http://host:port')
  const { protocol, hostname } = new URL(text)
  if (!['http:', 'https:', 'socks5:', 'socks5h:'].includes(protocol) || hostname === '')
    throw new UserError(
      `the proxy in ${source} is a ${JSON.stringify(protocol.replace(/:$/, ''))} one, which is not supported`,
      'give it as http://host:port, https://host:port or socks5://host:port',
    )
  return { url: text, source }
}

/** How error messages call a proxy: its address and where it was set, without user name and password. */
export function proxyName(proxy: ProxySetting): string {
  const url = new URL(proxy.url)
  return `the proxy ${url.hostname}:${portOf(url)} (${proxy.source})`
}

/** The user name and password in a proxy's URL. */
export function proxyLogin(
  proxy: ProxySetting,
): { readonly username: string; readonly password: string } | undefined {
  const { username, password } = new URL(proxy.url)
  if (username === '' && password === '') return undefined
  return { username: unescaped(username), password: unescaped(password) }
}

/** The name in upper or, failing that, lower case, whichever the environment gives a value. */
function firstSet(environment: Environment, name: string): string | undefined {
  return [name, name.toLowerCase()].find((one) => (environment[one] ?? '').trim() !== '')
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone % is meant as it stands.
    return text
  }
}
