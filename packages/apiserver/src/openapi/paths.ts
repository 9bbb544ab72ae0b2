import { apiVersionOf } from '@outrigger/kube'
import type { Resource, Verb } from '../registry/resource.ts'
import { definitionNameOf } from './definitions.ts'

/** How verbs become operations: on the collection or on one object, by which method, with which action. */
const operations: readonly {
  readonly verb: Verb
  readonly isCollection: boolean
  readonly method: string
  readonly action: string
}[] = [
  { verb: 'list', isCollection: true, method: 'get', action: 'list' },
  { verb: 'create', isCollection: true, method: 'post', action: 'post' },
  { verb: 'deletecollection', isCollection: true, method: 'delete', action: 'deletecollection' },
  { verb: 'get', isCollection: false, method: 'get', action: 'get' },
  { verb: 'update', isCollection: false, method: 'put', action: 'put' },
  { verb: 'patch', isCollection: false, method: 'patch', action: 'patch' },
  { verb: 'delete', isCollection: false, method: 'delete', action: 'delete' },
]

/** Query parameters by which clients find out what an operation understands. */
const writeParameters = ['dryRun', 'fieldManager', 'fieldValidation']

/**
 * The operations on resources, as far as clients look at them: kubectl finds kinds by their paths (explain)
 * and dry-run and field validation by their parameters.
 */
export function pathsFor(
  resources: readonly Resource[],
  prefix: string,
  openApi: 2 | 3,
): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const resource of resources) {
    const base = resource.group === '' ? `/api/${resource.version}` : `/apis/${apiVersionOf(resource)}`
    const collection = resource.namespaced
      ? `${base}/namespaces/{namespace}/${resource.plural}`
      : `${base}/${resource.plural}`
    for (const operation of operations) {
      if (!resource.verbs.includes(operation.verb)) continue
      const path = operation.isCollection ? collection : `${collection}/{name}`
      paths[path] ??= { parameters: pathParameters(path, openApi) }
      ;(paths[path] as Record<string, unknown>)[operation.method] = describe(
        resource,
        operation,
        prefix,
        openApi,
      )
    }
  }
  return paths
}

function describe(
  resource: Resource,
  { verb, method, action }: (typeof operations)[number],
  prefix: string,
  openApi: 2 | 3,
): Record<string, unknown> {
  const { group, version, kind } = resource
  const schema = {
    $ref: prefix + definitionNameOf({ group, version, kind: verb === 'list' ? resource.listKind : kind }),
  }
  const isWrite = method !== 'get'
  const answer =
    openApi === 2
      ? { description: 'OK', schema }
      : { description: 'OK', content: { 'application/json': { schema } } }
  return {
    operationId: `${verb}${group === '' ? 'Core' : group.replaceAll(/[^a-zA-Z0-9]/g, '')}${version}${kind}`,
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': { group, version, kind },
    responses: { 200: answer },
    ...(isWrite ? { parameters: writeParameters.map((name) => queryParameter(name, openApi)) } : {}),
    ...bodyOf(verb, schema, prefix, openApi),
  }
}

function bodyOf(verb: Verb, schema: object, prefix: string, openApi: 2 | 3): Record<string, unknown> {
  if (openApi === 2) return {}
  if (verb === 'create' || verb === 'update')
    return { requestBody: { required: true, content: { '*/*': { schema } } } }
  if (verb !== 'patch') return {}
  const patch = { schema: { $ref: `${prefix}io.k8s.apimachinery.pkg.apis.meta.v1.Patch` } }
  const types = [
    'application/apply-patch+yaml',
    'application/json-patch+json',
    'application/merge-patch+json',
  ]
  return { requestBody: { required: true, content: Object.fromEntries(types.map((type) => [type, patch])) } }
}

const queryParameter = (name: string, openApi: 2 | 3): Record<string, unknown> =>
  openApi === 2
    ? { name, in: 'query', type: 'string', uniqueItems: true }
    : { name, in: 'query', schema: { type: 'string', uniqueItems: true } }

function pathParameters(path: string, openApi: 2 | 3): Record<string, unknown>[] {
  return ['namespace', 'name']
    .filter((name) => path.includes(`{${name}}`))
    .map((name) => ({
      name,
      in: 'path',
      required: true,
      ...(openApi === 2 ? { type: 'string' } : { schema: { type: 'string' } }),
    }))
}
