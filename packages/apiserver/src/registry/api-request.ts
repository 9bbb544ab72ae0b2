import type { ObjectKey } from '@outrigger/kube'
import type { UserInfo } from '../auth/identity.ts'
import type { Resource, Subresource, Verb } from './resource.ts'

/** One request for a resource: authenticated, authorized, its body read but not parsed. */
export interface ApiRequest {
  readonly verb: Verb
  readonly resource: Resource
  /** Name is empty for collections, namespace across namespaces and for cluster-scoped resources. */
  readonly key: ObjectKey
  /** Name and rules of the subresource asked for. */
  readonly subresource: { readonly name: string; readonly rules: Subresource } | undefined
  readonly query: URLSearchParams
  readonly accept: string
  readonly contentType: string
  readonly userAgent: string
  readonly body: Buffer
  readonly user: UserInfo
  /** Milliseconds since 1970 when it arrived. */
  readonly now: number
  readonly signal: AbortSignal
  /** Texts for Warning headers, filled while the request is worked on. */
  readonly warnings: Set<string>
}

/** A whole answer. */
export interface Reply {
  readonly code: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string | Buffer | readonly (string | Buffer)[]
}

/** The name in messages and managed fields: what comes before the version in a User-Agent. */
export function managerOf(request: Pick<ApiRequest, 'query' | 'userAgent'>): string {
  const asked = request.query.get('fieldManager')
  if (asked !== null && asked !== '') return asked
  const slash = request.userAgent.indexOf('/')
  const product = (slash < 0 ? request.userAgent : request.userAgent.slice(0, slash)).slice(0, 128)
  return product === '' ? 'unknown' : product
}

/** What errors call the thing asked for: `pods`, `deployments.apps`. */
export const subjectOf = (resource: Pick<Resource, 'group' | 'plural'>) => ({
  group: resource.group,
  resource: resource.plural,
})

/** What errors call the object sent: `Pod`, `Deployment.apps`. */
export const kindSubjectOf = (resource: Pick<Resource, 'storage' | 'kind'>) => ({
  group: resource.storage.group,
  resource: resource.kind,
})
