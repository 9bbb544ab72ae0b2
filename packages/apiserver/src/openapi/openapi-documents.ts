import { createHash } from 'node:crypto'
import { apiVersionOf } from '@outrigger/kube'
import type { Reply } from '../registry/api-request.ts'
import type { ResourceRegistry } from '../registry/resource-registry.ts'
import { binaryMediaType, encodeBinaryDocument } from './binary-document.ts'
import { type Definitions, definitionsFor, type WrittenSchema } from './definitions.ts'
import { pathsFor } from './paths.ts'

interface Made {
  readonly body: string | Buffer
  readonly hash: string
}

const info = { title: 'Kubernetes', version: 'v1.36.2' }
const textPlain = { 'content-type': 'text/plain; charset=utf-8' }
const jsonType = 'application/json'
const json = { 'content-type': jsonType }

/**
 * The OpenAPI documents: `/openapi/v3` with one document for each group and version, and `/openapi/v2`.
 * Made on first use and kept until the registry changes.
 */
export class OpenApiDocuments {
  readonly #registry: ResourceRegistry
  readonly #writtenSchema: WrittenSchema
  readonly #made = new Map<string, Made>()
  #generation = -1

  constructor(registry: ResourceRegistry, writtenSchema: WrittenSchema) {
    this.#registry = registry
    this.#writtenSchema = writtenSchema
  }

  /** Undefined when there is no such document. */
  answer(path: string, query: URLSearchParams, accept: string): Reply | undefined {
    if (this.#generation !== this.#registry.generation) {
      this.#made.clear()
      this.#generation = this.#registry.generation
    }
    if (path === '/openapi/v2') return this.#answerV2(accept)
    if (path === '/openapi/v3') return { code: 200, headers: textPlain, body: this.#index() }
    const [, name = ''] = path.split('/openapi/v3/')
    const found = this.#group(name)
    if (found === undefined) return undefined
    const asked = query.get('hash')
    const caching: Record<string, string> =
      asked === found.hash ? { 'cache-control': 'public, immutable' } : {}
    return { code: 200, headers: { ...json, ...caching, etag: `"${found.hash}"` }, body: found.body }
  }

  /** In JSON, or as the message kubectl and Helm ask for, which is smaller and quicker for them to read. */
  #answerV2(accept: string): Reply {
    const form = v2FormOf(accept)
    if (form === undefined)
      return {
        code: 406,
        headers: textPlain,
        body: `only ${jsonType} and ${binaryMediaType} are available\n`,
      }
    const { body, hash } = this.#cached(`v2 ${form}`, () => this.#v2Document(), form === 'binary')
    const headers = form === 'binary' ? { 'content-type': binaryMediaType } : json
    return { code: 200, headers: { ...headers, vary: 'Accept', etag: `"${hash}"` }, body }
  }

  #v2Document() {
    return {
      swagger: '2.0',
      info,
      paths: pathsFor([...this.#registry.all], '#/definitions/', 2),
      definitions: definitionsFor([...this.#registry.all], '#/definitions/', this.#writtenSchema),
    }
  }

  #index(): string {
    const paths: Record<string, { serverRelativeURL: string }> = {}
    for (const name of this.#names()) {
      const made = this.#group(name)
      if (made !== undefined) paths[name] = { serverRelativeURL: `/openapi/v3/${name}?hash=${made.hash}` }
    }
    return JSON.stringify({ paths })
  }

  #names(): string[] {
    return this.#registry.groups.flatMap(({ group, versions }) =>
      versions.map((version) => (group === '' ? `api/${version}` : `apis/${group}/${version}`)),
    )
  }

  #group(name: string): Made | undefined {
    const match = /^(?:api\/([^/]+)|apis\/([^/]+)\/([^/]+))$/.exec(name)
    if (match === null) return undefined
    const group = match[2] ?? ''
    const version = match[1] ?? match[3] ?? ''
    const resources = this.#registry.resourcesOf(group, version)
    if (resources.length === 0) return undefined
    return this.#cached(apiVersionOf({ group, version }), () => {
      const prefix = '#/components/schemas/'
      const schemas: Definitions = definitionsFor(resources, prefix, this.#writtenSchema)
      return { openapi: '3.0.0', info, paths: pathsFor(resources, prefix, 3), components: { schemas } }
    })
  }

  #cached(name: string, make: () => Readonly<Record<string, unknown>>, isBinary = false): Made {
    let made = this.#made.get(name)
    if (made === undefined) {
      const body = isBinary ? encodeBinaryDocument(make()) : JSON.stringify(make())
      made = { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() }
      this.#made.set(name, made)
    }
    return made
  }
}

/** The first form a client names that there is. Clients write the binary one with an at sign or a dot. */
function v2FormOf(accept: string): 'json' | 'binary' | undefined {
  if (accept.trim() === '') return 'json'
  for (const clause of accept.split(',')) {
    const type = clause.split(';', 1)[0]?.trim() ?? ''
    if (/^application\/com\.github\.proto-openapi\.spec\.v2[.@]v1\.0\+protobuf$/.test(type)) return 'binary'
    if (type === jsonType || type === '*/*' || type === 'application/*') return 'json'
  }
  return undefined
}
