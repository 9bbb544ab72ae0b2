import { createHash } from 'node:crypto'
import { apiVersionOf } from '@outrigger/kube'
import type { Reply } from '../registry/api-request.ts'
import type { ResourceRegistry } from '../registry/resource-registry.ts'
import { type Definitions, definitionsFor, type WrittenSchema } from './definitions.ts'
import { pathsFor } from './paths.ts'

interface Made {
  readonly body: string
  readonly hash: string
}

const info = { title: 'Kubernetes', version: 'v1.36.2' }
const textPlain = { 'content-type': 'text/plain; charset=utf-8' }
const json = { 'content-type': 'application/json' }

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

  /** Clients that can read only the binary form fall back to the third version. */
  #answerV2(accept: string): Reply {
    if (accept !== '' && !/json|\*\/\*/.test(accept)) {
      return { code: 406, headers: textPlain, body: 'only application/json is available\n' }
    }
    const { body, hash } = this.#cached('v2', () => ({
      swagger: '2.0',
      info,
      paths: pathsFor([...this.#registry.all], '#/definitions/', 2),
      definitions: definitionsFor([...this.#registry.all], '#/definitions/', this.#writtenSchema),
    }))
    return { code: 200, headers: { ...json, etag: `"${hash}"` }, body }
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

  #cached(name: string, make: () => unknown): Made {
    let made = this.#made.get(name)
    if (made === undefined) {
      const body = JSON.stringify(make())
      made = { body, hash: createHash('sha512').update(body).digest('hex').toUpperCase() }
      this.#made.set(name, made)
    }
    return made
  }
}
