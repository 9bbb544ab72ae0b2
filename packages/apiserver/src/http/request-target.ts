/** What a path names. Nothing is looked up: the resource may not exist. */
export type RequestTarget =
  | { readonly type: 'resource'; readonly path: ResourcePath }
  /** `/api`, `/apis`, `/api/v1`, `/apis/apps`, `/apis/apps/v1` */
  | {
      readonly type: 'discovery'
      readonly group: string | undefined
      readonly version: string | undefined
      readonly isLegacy: boolean
    }
  | { readonly type: 'other'; readonly path: string }

export interface ResourcePath {
  readonly group: string
  readonly version: string
  readonly namespace: string
  readonly plural: string
  /** Empty for a collection. */
  readonly name: string
  /** Empty for the resource itself. */
  readonly subresource: string
  /** What follows the subresource, without a leading slash. */
  readonly rest: string
  /** The old `/watch/` prefix. */
  readonly isWatchPath: boolean
}

const namespaceSubresources = new Set(['status', 'finalize'])

/** Takes a path (without query) apart. Parts are percent-decoded; a malformed escape counts as itself. */
export function parseTarget(path: string): RequestTarget {
  const segments = path.split('/').slice(1)
  if (segments.at(-1) === '') segments.pop()
  const root = segments[0]
  if (root !== 'api' && root !== 'apis') return { type: 'other', path }
  const isLegacy = root === 'api'
  const parts = segments.slice(1).map(decode)
  const group = isLegacy ? '' : parts.shift()
  const version = parts.shift()
  if (parts.length === 0) return { type: 'discovery', group, version, isLegacy }
  return {
    type: 'resource',
    path: parseResource({ group: group ?? '', version: version ?? '' }, parts),
  }
}

function parseResource(
  { group, version }: { readonly group: string; readonly version: string },
  segments: readonly string[],
): ResourcePath {
  const isWatchPath = segments[0] === 'watch' && segments.length > 1
  const parts = isWatchPath ? segments.slice(1) : segments
  let namespace = ''
  let own = parts
  if (parts[0] === 'namespaces' && parts.length > 1) {
    namespace = parts[1] ?? ''
    if (parts.length > 2 && !namespaceSubresources.has(parts[2] ?? '')) own = parts.slice(2)
  }
  const [plural = '', name = '', subresource = '', ...rest] = own
  return { group, version, namespace, plural, name, subresource, rest: rest.join('/'), isWatchPath }
}

function decode(segment: string): string {
  if (!segment.includes('%')) return segment
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
