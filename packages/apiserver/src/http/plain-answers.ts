import type { Access } from '../auth/access.ts'
import type { DiscoveryDocuments, Document } from '../discovery/discovery-documents.ts'
import type { ReleaseHabits } from '../emulation/release-habits.ts'
import type { OpenApiDocuments } from '../openapi/openapi-documents.ts'
import type { Reply } from '../registry/api-request.ts'
import { collectionFor } from '../registry/conversion.ts'
import type { ResourceRegistry } from '../registry/resource-registry.ts'
import { methodNotAllowed, unknownResource } from '../registry/status-error.ts'
import type { Store } from '../storage/store.ts'
import type { AnyRequest } from './connection.ts'
import { answerHealth, type HealthCheck, isHealthPath } from './health.ts'
import type { ServerMetrics } from './metrics.ts'
import type { RequestTarget } from './request-target.ts'

export interface PlainAnswersOptions {
  readonly registry: ResourceRegistry
  readonly access: Access
  readonly discovery: DiscoveryDocuments
  readonly openApi: OpenApiDocuments
  readonly store: Store
  readonly metrics: ServerMetrics
  readonly habits: ReleaseHabits
  readonly checks: readonly HealthCheck[]
  readonly readiness: readonly HealthCheck[]
  /** The URL clients reach the server at. */
  url(): string
}

const plainText = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }

/** What a path is answered with that leads nowhere. */
export const pageNotFound: Reply = { code: 404, headers: plainText, body: '404 page not found\n' }

/** Answers everything that is about the server and not about objects. */
export class PlainAnswers {
  readonly #options: PlainAnswersOptions

  constructor(options: PlainAnswersOptions) {
    this.#options = options
  }

  discovery(request: AnyRequest, target: Extract<RequestTarget, { type: 'discovery' }>): Reply {
    const { discovery, url, habits } = this.#options
    const { group, version, isLegacy } = target
    if (request.method !== 'GET' && request.method !== 'HEAD') throw methodNotAllowed()
    if (version === undefined && (isLegacy || group === undefined)) {
      const metaVersion = habits.aggregatesDiscovery
        ? aggregatedVersion(request.headers.accept ?? '')
        : undefined
      if (metaVersion !== undefined) {
        const contentType = `application/json;g=apidiscovery.k8s.io;v=${metaVersion};as=APIGroupDiscoveryList`
        return documentReply(request, discovery.aggregated(isLegacy, metaVersion), contentType)
      }
      return plainDocument(isLegacy ? discovery.legacyVersions(new URL(url()).host) : discovery.groups())
    }
    const found =
      version === undefined ? discovery.group(group ?? '') : discovery.resources(group ?? '', version)
    if (found !== undefined) return plainDocument(found)
    if (isLegacy || this.#options.registry.hasGroup(group ?? '')) throw unknownResource()
    return pageNotFound
  }

  other(request: AnyRequest, path: string, query: URLSearchParams): Reply {
    const { access, checks, readiness, metrics, openApi, registry, store, url, habits } = this.#options
    if (isHealthPath(path)) return answerHealth(path, query, checks, readiness)
    switch (path) {
      case '/':
        return forPeople({ paths: allPaths(registry) })
      case '/version':
      case '/version/':
        return forPeople(habits.version)
      case '/metrics': {
        const counts = new Map<string, number>()
        for (const resource of registry.all)
          if (resource.virtual === undefined) {
            const collection = collectionFor(resource)
            counts.set(collection, store.count(collection))
          }
        const headers = { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }
        return { code: 200, headers, body: metrics.format(counts, store.revision) }
      }
      case '/.well-known/openid-configuration':
        return {
          code: 200,
          headers: { 'content-type': 'application/json' },
          body: access.openId(url()).configuration,
        }
      case '/openid/v1/jwks':
        return {
          code: 200,
          headers: { 'content-type': 'application/jwk-set+json' },
          body: access.openId(url()).keys,
        }
    }
    if (path.startsWith('/openapi/v3') && !habits.servesOpenApiV3) return pageNotFound
    if (path === '/openapi/v2' || path === '/openapi/v3' || path.startsWith('/openapi/v3/'))
      return openApi.answer(path, query, request.headers.accept ?? '') ?? pageNotFound
    return pageNotFound
  }
}

/** JSON as kube-apiserver writes it where people look: indented by two, without a newline at its end. */
const forPeople = (value: object): Reply => ({
  code: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value, undefined, 2),
})

const ownPaths = [
  '/.well-known/openid-configuration',
  '/healthz',
  '/livez',
  '/metrics',
  '/openapi/v2',
  '/openapi/v3',
  '/openid/v1/jwks',
  '/readyz',
  '/version',
]

/** What `/` lists: where a client may look further. */
function allPaths(registry: ResourceRegistry): string[] {
  const paths = new Set(['/api', '/apis', ...ownPaths])
  for (const { group, versions } of registry.groups) {
    const base = group === '' ? '/api' : `/apis/${group}`
    paths.add(base)
    for (const version of versions) paths.add(`${base}/${version}`)
  }
  return [...paths].sort()
}

/** `v2` or `v2beta1` when the client asks for aggregated discovery before anything else. */
function aggregatedVersion(accept: string): string | undefined {
  for (const clause of accept.split(',')) {
    if (!clause.includes('as=APIGroupDiscoveryList')) continue
    const version = /;\s*v=(v2|v2beta1)\s*(?:;|$)/.exec(clause)?.[1]
    if (version !== undefined && clause.includes('g=apidiscovery.k8s.io')) return version
  }
  return undefined
}

const plainDocument = ({ body }: Document): Reply => ({
  code: 200,
  headers: { 'content-type': 'application/json' },
  body,
})

function documentReply(request: AnyRequest, { body, etag }: Document, contentType: string): Reply {
  const headers = { 'content-type': contentType, etag, vary: 'Accept', 'cache-control': 'public' }
  if (request.headers['if-none-match'] === etag) return { code: 304, headers, body: '' }
  return { code: 200, headers, body }
}
