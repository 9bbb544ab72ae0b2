import { StatusError } from './status-error.ts'

const available = 'application/json, application/yaml, application/vnd.kubernetes.protobuf'

/** How an answer is to be written. */
export interface Representation {
  readonly format: 'json' | 'yaml'
  /** What objects are turned into; undefined for themselves. */
  readonly as: 'Table' | 'PartialObjectMetadata' | 'PartialObjectMetadataList' | undefined
  /** Version of the meta.k8s.io group that `as` is wanted in. */
  readonly metaVersion: 'v1' | 'v1beta1'
}

const plainJson: Representation = { format: 'json', as: undefined, metaVersion: 'v1' }
const parsed = new Map<string, Representation>()
const mostRemembered = 256

interface Clause {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
  readonly quality: number
}

/**
 * The representation an Accept header asks for: the first acceptable clause of the highest quality.
 *
 * @throws StatusError 406
 */
export function negotiate(accept: string): Representation {
  if (accept === '' || accept === 'application/json' || accept === '*/*') return plainJson
  const known = parsed.get(accept)
  if (known !== undefined) return known
  const found = choose(accept)
  if (parsed.size >= mostRemembered) parsed.clear()
  parsed.set(accept, found)
  return found
}

function choose(accept: string): Representation {
  const clauses = accept.split(',').map(parseClause)
  let knowsType = false
  for (const clause of clauses.sort((one, other) => other.quality - one.quality)) {
    const format = formatOf(clause.type)
    if (format === undefined) continue
    knowsType = true
    const found = representationOf(clause, format)
    if (found !== undefined) return found
  }
  throw new StatusError({
    code: 406,
    reason: 'NotAcceptable',
    ...(knowsType
      ? { message: `only the following media types are accepted: ${available}` }
      : { message: `406: Not Acceptable\n\nAvailable representations: ${available}`, details: {} }),
  })
}

function parseClause(text: string): Clause {
  const [type = '', ...parts] = text.split(';').map((part) => part.trim())
  const parameters = new Map<string, string>()
  for (const part of parts) {
    const equals = part.indexOf('=')
    if (equals > 0) parameters.set(part.slice(0, equals).toLowerCase(), part.slice(equals + 1))
  }
  const quality = Number(parameters.get('q') ?? 1)
  return { type: type.toLowerCase(), parameters, quality: Number.isNaN(quality) ? 0 : quality }
}

function formatOf(type: string): 'json' | 'yaml' | undefined {
  if (type === 'application/json' || type === '*/*' || type === '') return 'json'
  return type === 'application/yaml' ? 'yaml' : undefined
}

function representationOf(clause: Clause, format: 'json' | 'yaml'): Representation | undefined {
  const as = clause.parameters.get('as')
  if (as === undefined) return { format, as: undefined, metaVersion: 'v1' }
  const version = clause.parameters.get('v')
  if (clause.parameters.get('g') !== 'meta.k8s.io' || (version !== 'v1' && version !== 'v1beta1'))
    return undefined
  if (as !== 'Table' && as !== 'PartialObjectMetadata' && as !== 'PartialObjectMetadataList') return undefined
  return { format, as, metaVersion: version }
}

/** 415 for a body nobody can read. */
export function unsupportedBody(): StatusError {
  return new StatusError({
    code: 415,
    reason: 'UnsupportedMediaType',
    message: `the body of the request was in an unknown format - accepted media types include: ${available}`,
  })
}

/** The media type without its parameters, in lower case. */
export function essenceOf(contentType: string): string {
  const end = contentType.indexOf(';')
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase()
}
