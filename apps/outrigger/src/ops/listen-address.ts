import { UserError } from '@outrigger/foundation'

/** Where to listen. */
export interface ListenAddress {
  /** Left out: all addresses. */
  readonly host?: string
  readonly port: number
}

/**
 * `:8080`, `127.0.0.1:8080`, `[::1]:8080`, and `0` or nothing for `off`, as controller-runtime reads them.
 * Port 0 takes any free one. @throws UserError that names the flag.
 */
export function parseListenAddress(flag: string): (text: string) => ListenAddress | 'off' {
  return (text) => {
    if (text === '0' || text === '') return 'off'
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
    const port = Number(match?.[3])
    if (match === null || port > 65_535) {
      throw new UserError(
        `${flag} ${text} is not of the form ADDRESS:PORT`,
        `for example ${flag} :8080, or ${flag} 0 to switch it off`,
      )
    }
    const host = match[1] ?? match[2] ?? ''
    return host === '' ? { port } : { host, port }
  }
}
