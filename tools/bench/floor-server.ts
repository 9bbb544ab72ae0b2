import { readFileSync } from 'node:fs'
import { createSecureServer } from 'node:http2'

/**
 * The floor under an API server in Node: TLS, HTTP/2, JSON in, JSON out, and nothing else. Usage:
 * floor-server.ts CERTIFICATE KEY. Prints its port.
 */
const [certificate = '', key = ''] = process.argv.slice(2)
const server = createSecureServer({ cert: readFileSync(certificate), key: readFileSync(key) })
server.on('stream', (stream) => {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    stream.respond({ ':status': 201, 'content-type': 'application/json' })
    stream.end(JSON.stringify(value))
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  console.log(typeof address === 'object' ? address?.port : '')
})
