import type { KubeObject } from '@outrigger/kube'
import { type ApiRequest, managerOf } from './api-request.ts'
import { decodeBody } from './decode-body.ts'
import { negotiate } from './media-types.ts'
import { parseIncludedObject } from './rendering.ts'
import type { DeleteOptions, WriteOptions } from './request-options.ts'
import type { Resource, Strategy } from './resource.ts'
import type { Writer, WriteTarget } from './write-request.ts'

/** The object of the body once more, for another attempt. */
export function decodeAgain(
  request: ApiRequest,
  resource: Resource,
  options: WriteOptions,
  strategy: Strategy,
): KubeObject {
  const object = decodeBody({ ...request, warnings: new Set() }, resource, options)
  strategy.applyDefaults(object)
  return object
}

/** What a request is about, as a whole. */
export const targetOf = (request: ApiRequest, strategy: Strategy): WriteTarget => ({
  resource: request.resource,
  key: request.key,
  subresource: '',
  strategy,
})

/** How the answer is to be shown. */
export const viewOf = (request: ApiRequest) => {
  const representation = negotiate(request.accept)
  const included = representation.as === 'Table' ? parseIncludedObject(request.query) : 'Metadata'
  return { representation, included, now: request.now } as const
}

/** Who writes, as the request says. */
export const writerOf = (request: ApiRequest, options: WriteOptions): Writer => ({
  user: request.user,
  manager: managerOf(request),
  now: request.now,
  isDryRun: options.isDryRun,
  options: options.asObject,
  warnings: request.warnings,
  signal: request.signal,
})

/** Who deletes, as the request says. */
export const deleterOf = (request: ApiRequest, options: DeleteOptions): Writer => ({
  user: request.user,
  manager: '',
  now: request.now,
  isDryRun: options.isDryRun,
  options: options.asObject,
  warnings: request.warnings,
  signal: request.signal,
})
