import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Blob, OciImage } from '../image/oci-image.ts'

export interface TestRegistryOptions {
  /** When given, requests without these credentials (`name:password`) are refused. */
  readonly login?: string
}

/** An image registry on a loopback port, over plain HTTP. For tests. */
export interface TestRegistry {
  /** `127.0.0.1:40123`; images are `<address>/<name>:<tag>`. */
  readonly address: string
  /** Makes the image available as `<address>/<name>`, where `name` has a tag; answers with that reference. */
  add(name: string, image: OciImage): string
  /** How often the manifest of `name` (with tag) was fetched. */
  pulls(name: string): number
  /** Answers everything with this HTTP status from now on; undefined is normal again. */
  failWith(status: number | undefined): void
  close(): Promise<void>
}

export async function startTestRegistry(options: TestRegistryOptions = {}): Promise<TestRegistry> {
  const tags = new Map<string, OciImage>()
  const blobs = new Map<string, Blob>()
  const pulls = new Map<string, number>()
  let failure: number | undefined
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    if (failure !== undefined) return refuse(response, failure)
    if (!isAllowed(request, options.login)) {
      response.setHeader('WWW-Authenticate', 'Basic realm="test"')
      return refuse(response, 401)
    }
    // A mirror is told in a query which registry it stands for.
    const path = (request.url ?? '').split('?')[0] ?? ''
    const [, name, kind, reference] = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(path) ?? []
    if (name === undefined || reference === undefined) return send(response, request, undefined)
    const tag = `${name}:${reference}`
    const found =
      kind === 'manifests' && !reference.startsWith('sha256:')
        ? tags.get(tag)?.manifest
        : blobs.get(reference)
    if (found === undefined) return refuse(response, 404)
    if (tags.has(tag)) pulls.set(tag, (pulls.get(tag) ?? 0) + 1)
    send(response, request, found)
  }
  const server = createServer(serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    address,
    add: (name, image) => {
      tags.set(name, image)
      for (const blob of [image.manifest, image.config, image.layer]) blobs.set(blob.digest, blob)
      return `${address}/${name}`
    },
    pulls: (name) => pulls.get(name) ?? 0,
    failWith: (status) => {
      failure = status
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function isAllowed(request: IncomingMessage, login: string | undefined): boolean {
  if (login === undefined) return true
  return request.headers.authorization === `Basic ${Buffer.from(login).toString('base64')}`
}

function refuse(response: ServerResponse, status: number): void {
  const codes: Readonly<Record<number, string>> = {
    401: 'UNAUTHORIZED',
    404: 'NOT_FOUND',
    429: 'TOOMANYREQUESTS',
  }
  const code = codes[status] ?? 'UNKNOWN'
  response.writeHead(status, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify({ errors: [{ code, message: code.toLowerCase() }] }))
}

function send(response: ServerResponse, request: IncomingMessage, blob: Blob | undefined): void {
  const content = blob?.content ?? Buffer.from('{}')
  response.writeHead(200, {
    'Content-Type': blob?.mediaType ?? 'application/json',
    'Content-Length': content.length,
    ...(blob && { 'Docker-Content-Digest': blob.digest }),
  })
  response.end(request.method === 'HEAD' ? undefined : content)
}
