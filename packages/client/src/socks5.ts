import { isIPv4, isIPv6, type Socket } from 'node:net'

/** A refusal by the proxy, told apart by whether trying again can help. */
export interface Socks5Refusal {
  readonly reason: string
  readonly isFinal: boolean
}

const replies: Readonly<Record<number, string>> = {
  1: 'general failure',
  2: 'its rules do not allow the connection',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'time to live expired',
  7: 'it does not know the command',
  8: 'it does not know the kind of address',
}

/**
 * Asks a SOCKS5 proxy (RFC 1928; user name and password by RFC 1929) to connect `socket`, which is
 * connected to the proxy, to a host. The proxy looks names up, as with Go. Resolves with the refusal, or
 * with nothing once the socket is the connection asked for. Rejects when the proxy hangs up or talks nonsense.
 */
export async function socks5Connect(
  socket: Socket,
  target: { readonly host: string; readonly port: number },
  login: { readonly username: string; readonly password: string } | undefined,
): Promise<Socks5Refusal | undefined> {
  socket.write(Buffer.from(login === undefined ? [5, 1, 0] : [5, 2, 0, 2]))
  const [version, method] = await take(socket, 2)
  if (version !== 5) throw new Error('it does not speak SOCKS5')
  if (method === 2 && login !== undefined) {
    socket.write(Buffer.concat([Buffer.of(1), short(login.username), short(login.password)]))
    const [, status] = await take(socket, 2)
    if (status !== 0) return { reason: 'it does not accept the user name and password', isFinal: true }
  } else if (method !== 0) {
    return { reason: 'it asks for a user name and password', isFinal: true }
  }
  const port = Buffer.alloc(2)
  port.writeUInt16BE(target.port)
  socket.write(Buffer.concat([Buffer.of(5, 1, 0), address(target.host), port]))
  const [, reply = 1, , kind] = await take(socket, 4)
  if (reply !== 0)
    return { reason: replies[reply] ?? `it answered ${reply}`, isFinal: [2, 7, 8].includes(reply) }
  // The address it connects from follows: of no use, but in the way.
  const length = kind === 1 ? 4 : kind === 4 ? 16 : ((await take(socket, 1))[0] ?? 0)
  await take(socket, length + 2)
  return undefined
}

function address(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from([1, ...host.split('.').map(Number)])
  if (isIPv6(host)) return Buffer.from([4, ...ipv6Bytes(host)])
  return Buffer.concat([Buffer.of(3), short(host)])
}

/** The sixteen bytes of an address; the URL parser has written it in its one normal form. */
function ipv6Bytes(host: string): number[] {
  const normal = new URL(`http://[${host}]`).hostname.slice(1, -1)
  const [head = '', tail] = normal.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 255]
  })
}

/** A text with its length before it. */
function short(text: string): Buffer {
  const bytes = Buffer.from(text)
  if (bytes.length > 255) throw new Error('a name for it is longer than 255 bytes')
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}

/** Exactly the next bytes; what follows them stays in the socket. */
function take(socket: Socket, length: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const settle = (action: () => void) => {
      socket.removeListener('readable', onReadable)
      socket.removeListener('error', onError)
      socket.removeListener('close', onClose)
      socket.removeListener('end', onClose)
      action()
    }
    const onReadable = () => {
      const bytes: Buffer | null = socket.read(length)
      if (bytes !== null && bytes.length === length) settle(() => resolve(bytes))
    }
    const onError = (error: Error) => settle(() => reject(error))
    const onClose = () => settle(() => reject(new Error('it closed the connection')))
    socket.on('readable', onReadable)
    socket.once('error', onError)
    socket.once('close', onClose)
    socket.once('end', onClose)
    onReadable()
  })
}
