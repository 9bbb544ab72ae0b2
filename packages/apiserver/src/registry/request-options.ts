import { type FieldError, forbidden, invalid, isRecord } from '@outrigger/kube'
import type { ApiRequest } from './api-request.ts'
import { badRequest, invalidObject } from './status-error.ts'

/** How strictly unknown and duplicate fields are taken. */
export type FieldValidation = 'Ignore' | 'Warn' | 'Strict'

/** CreateOptions, UpdateOptions and PatchOptions. */
export interface WriteOptions {
  readonly isDryRun: boolean
  readonly fieldValidation: FieldValidation
  readonly force: boolean | undefined
  /** As admission sees them. */
  readonly asObject: Readonly<Record<string, unknown>>
}

const group = 'meta.k8s.io'

/** Throws 422 in the name of an options kind when there are errors. */
export function refuseOptions(kind: string, errors: readonly FieldError[]): void {
  if (errors.length > 0) throw invalidObject({ group, resource: kind }, '', errors)
}

/** @throws StatusError 422 */
export function parseWriteOptions(
  kind: 'CreateOptions' | 'UpdateOptions' | 'PatchOptions',
  query: URLSearchParams,
): WriteOptions {
  const dryRun = query.getAll('dryRun')
  const fieldValidation = query.get('fieldValidation') ?? ''
  const fieldManager = query.get('fieldManager') ?? ''
  const force = query.get('force')
  refuseOptions(kind, [
    ...dryRunErrors(dryRun),
    ...fieldValidationErrors(fieldValidation),
    ...managerErrors(fieldManager),
  ])
  return {
    isDryRun: dryRun.length > 0,
    fieldValidation: fieldValidation === '' ? 'Warn' : (fieldValidation as FieldValidation),
    force: force === null ? undefined : parseBoolean(force),
    asObject: {
      kind,
      apiVersion: `${group}/v1`,
      ...(dryRun.length > 0 ? { dryRun } : {}),
      ...(fieldManager === '' ? {} : { fieldManager }),
      ...(fieldValidation === '' ? {} : { fieldValidation }),
      ...(force === null ? {} : { force: parseBoolean(force) }),
    },
  }
}

const showList = (choices: readonly string[]) => choices.map((choice) => JSON.stringify(choice)).join(', ')

function dryRunErrors(dryRun: readonly string[]): FieldError[] {
  if (dryRun.every((text) => text === 'All')) return []
  return [{ type: 'unsupported', field: 'dryRun', value: dryRun, detail: 'supported values: "All"' }]
}

function fieldValidationErrors(value: string): FieldError[] {
  const choices = ['', 'Ignore', 'Strict', 'Warn']
  if (choices.includes(value)) return []
  return [
    {
      type: 'unsupported',
      field: 'fieldValidation',
      value,
      detail: `supported values: ${showList(choices)}`,
    },
  ]
}

function managerErrors(manager: string): FieldError[] {
  if (manager.length > 128)
    return [{ type: 'too-long', field: 'fieldManager', detail: 'may not be more than 128 bytes' }]
  const bad = [...manager].find((character) => !/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/u.test(character))
  return bad === undefined
    ? []
    : [invalid('fieldManager', manager, 'should only contain printable characters')]
}

/** Go's strconv.ParseBool; anything else counts as true, as conversion from a query has it. */
export function parseBoolean(text: string): boolean {
  return !(text === '0' || text === 'f' || text === 'F' || text.toLowerCase() === 'false')
}

function parseInteger(text: string): number {
  if (!/^[+-]?\d+$/.test(text))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
  return Number(text)
}

/** ListOptions, for list, watch and deletecollection. */
export interface ListOptions {
  readonly watch: boolean
  /** 0 for no limit. */
  readonly limit: number
  readonly continueToken: string
  /** As sent: empty, `0` or a revision. */
  readonly resourceVersion: string
  readonly resourceVersionMatch: string
  readonly labelSelector: string
  readonly fieldSelector: string
  /** Seconds; undefined when the client does not mind. */
  readonly timeoutSeconds: number | undefined
  readonly allowWatchBookmarks: boolean
  readonly sendInitialEvents: boolean | undefined
}

/** @throws StatusError 400 or 422 */
export function parseListOptions(request: Pick<ApiRequest, 'query' | 'verb'>): ListOptions {
  const { query, verb } = request
  const text = (name: string) => query.get(name) ?? ''
  const flag = (name: string) => (text(name) === '' ? undefined : parseBoolean(text(name)))
  const timeout = text('timeoutSeconds')
  const limit = text('limit')
  const options: ListOptions = {
    watch: verb === 'watch',
    limit: limit === '' ? 0 : Math.max(0, parseInteger(limit)),
    continueToken: text('continue'),
    resourceVersion: text('resourceVersion'),
    resourceVersionMatch: text('resourceVersionMatch'),
    labelSelector: text('labelSelector'),
    fieldSelector: text('fieldSelector'),
    timeoutSeconds: timeout === '' ? undefined : parseInteger(timeout),
    allowWatchBookmarks: flag('allowWatchBookmarks') ?? false,
    sendInitialEvents: flag('sendInitialEvents'),
  }
  refuseOptions('ListOptions', options.watch ? watchErrors(options) : listErrors(options))
  const { resourceVersion } = options
  if (resourceVersion !== '' && !/^\d+$/.test(resourceVersion))
    throw badRequest(
      `invalid resource version: resourceVersion: Invalid value: ${JSON.stringify(resourceVersion)}: strconv.ParseUint: parsing ${JSON.stringify(resourceVersion)}: invalid syntax`,
    )
  return options
}

const match = 'resourceVersionMatch'

function listErrors(options: ListOptions): FieldError[] {
  const errors: FieldError[] = []
  if (options.sendInitialEvents !== undefined)
    errors.push(forbidden('sendInitialEvents', 'sendInitialEvents is forbidden for list'))
  const asked = options.resourceVersionMatch
  if (asked === '') return errors
  if (options.resourceVersion === '')
    errors.push(forbidden(match, 'resourceVersionMatch is forbidden unless resourceVersion is provided'))
  if (options.continueToken !== '')
    errors.push(forbidden(match, 'resourceVersionMatch is forbidden when continue is provided'))
  if (asked !== 'Exact' && asked !== 'NotOlderThan')
    errors.push(unsupportedMatch(asked, ['Exact', 'NotOlderThan', '']))
  if (asked === 'Exact' && options.resourceVersion === '0')
    errors.push(forbidden(match, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
  return errors
}

function watchErrors(options: ListOptions): FieldError[] {
  const errors: FieldError[] = []
  const asked = options.resourceVersionMatch
  if (asked !== '') {
    if (options.sendInitialEvents === undefined)
      errors.push(
        forbidden(match, 'resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided'),
      )
    if (asked !== 'NotOlderThan') errors.push(unsupportedMatch(asked, ['NotOlderThan']))
    if (options.continueToken !== '')
      errors.push(forbidden(match, 'resourceVersionMatch is forbidden when continue is provided'))
  }
  if (options.sendInitialEvents !== undefined && asked !== 'NotOlderThan')
    errors.push(forbidden(match, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan'))
  return errors
}

const unsupportedMatch = (value: string, choices: readonly string[]): FieldError => ({
  type: 'unsupported',
  field: match,
  value,
  detail: `supported values: ${showList(choices)}`,
})

export type Propagation = 'Orphan' | 'Background' | 'Foreground'

/** DeleteOptions, from the body or, without one, from the query. */
export interface DeleteOptions {
  readonly isDryRun: boolean
  readonly gracePeriodSeconds: number | undefined
  readonly propagation: Propagation | undefined
  readonly uid: string | undefined
  readonly resourceVersion: string | undefined
  readonly asObject: Readonly<Record<string, unknown>>
}

/** `body` is the parsed body, undefined without one. @throws StatusError 400 or 422 */
export function parseDeleteOptions(query: URLSearchParams, body: unknown): DeleteOptions {
  const source = body === undefined ? deleteOptionsOf(query) : body
  if (!isRecord(source)) throw badRequest('the body must be DeleteOptions')
  const kind = source.kind
  if (kind !== undefined && kind !== '' && kind !== 'DeleteOptions')
    throw badRequest(
      `the body must be DeleteOptions, not ${typeof kind === 'string' ? kind : JSON.stringify(kind)}`,
    )
  const dryRun = [
    ...(Array.isArray(source.dryRun) ? source.dryRun.map(String) : []),
    ...(body === undefined ? [] : query.getAll('dryRun')),
  ]
  const policy = optional(source.propagationPolicy)
  const orphan = optional(source.orphanDependents)
  const errors = dryRunErrors(dryRun)
  if (policy !== undefined && orphan !== undefined)
    errors.unshift(
      invalid('propagationPolicy', policy, 'orphanDependents and deletionPropagation cannot be both set'),
    )
  if (policy !== undefined && policy !== 'Foreground' && policy !== 'Background' && policy !== 'Orphan')
    errors.push({
      type: 'unsupported',
      field: 'propagationPolicy',
      value: policy,
      detail: `supported values: ${showList(['Foreground', 'Background', 'Orphan', 'nil'])}`,
    })
  refuseOptions('DeleteOptions', errors)
  const grace = optional(source.gracePeriodSeconds)
  if (grace !== undefined && typeof grace !== 'number')
    throw badRequest('gracePeriodSeconds must be a number')
  const preconditions = isRecord(source.preconditions) ? source.preconditions : {}
  return {
    isDryRun: dryRun.length > 0,
    gracePeriodSeconds: grace,
    propagation:
      orphan === undefined ? (policy as Propagation | undefined) : orphan === true ? 'Orphan' : 'Background',
    uid: textOrNone(preconditions.uid),
    resourceVersion: textOrNone(preconditions.resourceVersion),
    asObject: { ...source, kind: 'DeleteOptions', apiVersion: `${group}/v1` },
  }
}

function deleteOptionsOf(query: URLSearchParams): Record<string, unknown> {
  const grace = query.get('gracePeriodSeconds')
  const policy = query.get('propagationPolicy')
  const orphan = query.get('orphanDependents')
  const dryRun = query.getAll('dryRun')
  return {
    ...(grace === null || grace === '' ? {} : { gracePeriodSeconds: parseInteger(grace) }),
    ...(policy === null || policy === '' ? {} : { propagationPolicy: policy }),
    ...(orphan === null || orphan === '' ? {} : { orphanDependents: parseBoolean(orphan) }),
    ...(dryRun.length === 0 ? {} : { dryRun }),
  }
}

const optional = (value: unknown): unknown => (value === null ? undefined : value)
const textOrNone = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined
