import type { AuthorizationQuestion } from '../auth/identity.ts'
import { parseBoolean } from '../registry/request-options.ts'
import type { Verb } from '../registry/resource.ts'
import type { RequestTarget, ResourcePath } from './request-target.ts'

const verbOfMethod: Readonly<Record<string, readonly [one: Verb, collection: Verb | undefined]>> = {
  GET: ['get', 'list'],
  HEAD: ['get', 'list'],
  POST: ['create', 'create'],
  PUT: ['update', undefined],
  PATCH: ['patch', undefined],
  DELETE: ['delete', 'deletecollection'],
}

/** What a request asks to be allowed. */
export function questionOf(
  method: string,
  target: RequestTarget,
  path: string,
  query: URLSearchParams,
): Omit<AuthorizationQuestion, 'user'> {
  if (target.type !== 'resource')
    return {
      verb: method.toLowerCase(),
      group: '',
      version: '',
      resource: '',
      subresource: '',
      namespace: '',
      name: '',
      path,
      isResourceRequest: false,
    }
  const { group, version, plural, subresource, namespace, name } = target.path
  return {
    verb: verbOf(method, target.path, query),
    group,
    version,
    resource: plural,
    subresource,
    namespace,
    name: name === '' ? selectedName(query) : name,
    path,
    isResourceRequest: true,
  }
}

function verbOf(method: string, path: ResourcePath, query: URLSearchParams): string {
  if (path.isWatchPath) return 'watch'
  const [one, collection] = verbOfMethod[method] ?? []
  if (path.name !== '') return one ?? method.toLowerCase()
  const watch = query.get('watch')
  if (collection === 'list' && watch !== null && (watch === '' || parseBoolean(watch))) return 'watch'
  return collection ?? one ?? method.toLowerCase()
}

/**
 * The one name that a list or watch is narrowed to by `metadata.name=x`: who may read one object may
 * also watch it. Source: apiserver `RequestInfoFactory`.
 */
function selectedName(query: URLSearchParams): string {
  const selector = query.get('fieldSelector')
  const match = selector === null ? null : /^metadata\.name==?([^,=!]+)$/.exec(selector)
  return match?.[1] ?? ''
}
