import { formatTime } from '@outrigger/foundation'
import {
  type BoundObjectReference,
  type FieldError,
  invalid,
  type KubeObject,
  type Node,
  type ObjectKey,
  type Pod,
  type Schema,
  type ServiceAccount,
  schemaOfKind,
  type TokenRequest,
} from '@outrigger/kube'
import type { Objects } from '../registry/objects.ts'
import type { Subresource } from '../registry/resource.ts'
import { badRequest, conflict, invalidObject, notFound } from '../registry/status-error.ts'
import type { BoundObject, ServiceAccountTokens, TokenRequestFacts } from './service-account-tokens.ts'
import { serviceAccountNameOf } from './service-account-tokens.ts'

const group = 'authentication.k8s.io'
const minSeconds = 600
const maxSeconds = 2 ** 32

/** The subresource `serviceaccounts/token`: issues a token that may be bound to a pod, secret or node. */
export function createTokenRequestSubresource(objects: Objects, tokens: ServiceAccountTokens): Subresource {
  return {
    type: 'action',
    group,
    version: 'v1',
    kind: 'TokenRequest',
    schema: schemaOfKind(group, 'v1', 'TokenRequest') as Schema,
    async perform({ key, body, isDryRun, context }) {
      const account = objects.get<ServiceAccount>({ group: '', resource: 'serviceaccounts' }, key)
      if (account === undefined) throw notFound({ group: '', resource: 'serviceaccounts' }, key.name)
      const spec = { ...(body as KubeObject & { spec?: Partial<TokenRequest['spec']> }).spec }
      const seconds = spec.expirationSeconds ?? 3600
      const errors = checkSeconds(seconds)
      if (errors.length > 0) throw invalidObject({ group, resource: 'TokenRequest' }, '', errors)
      const audiences = spec.audiences?.length ? spec.audiences : tokens.audiences
      const facts: TokenRequestFacts = {
        namespace: key.namespace,
        serviceAccount: { name: key.name, uid: account.metadata.uid ?? '' },
        audiences,
        expirationSeconds: seconds,
        ...(spec.boundObjectRef ? bind(objects, key, spec.boundObjectRef) : {}),
      }
      const issued = isDryRun ? { token: '', expiresAt: context.now + seconds * 1000 } : tokens.issue(facts)
      return {
        code: 201,
        object: {
          kind: 'TokenRequest',
          apiVersion: `${group}/v1`,
          metadata: {
            name: key.name,
            namespace: key.namespace,
            uid: account.metadata.uid,
            creationTimestamp: formatTime(context.now),
          },
          spec: {
            audiences,
            expirationSeconds: seconds,
            boundObjectRef: spec.boundObjectRef ?? null,
          },
          status: { token: issued.token, expirationTimestamp: formatTime(issued.expiresAt) },
        },
      }
    },
  }
}

function checkSeconds(seconds: number): readonly FieldError[] {
  const field = 'spec.expirationSeconds'
  if (seconds < minSeconds)
    return [invalid(field, seconds, 'may not specify a duration less than 10 minutes')]
  if (seconds > maxSeconds)
    return [invalid(field, seconds, 'may not specify a duration larger than 2^32 seconds')]
  return []
}

function bind(
  objects: Objects,
  account: ObjectKey,
  reference: BoundObjectReference,
): Pick<TokenRequestFacts, 'boundTo' | 'node'> {
  const { kind = '', apiVersion = '', name = '', uid } = reference
  const resource = apiVersion === 'v1' ? boundResources[kind] : undefined
  if (resource === undefined)
    throw badRequest(
      `cannot bind token to object of type ${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${kind}`,
    )
  const key = { namespace: kind === 'Node' ? '' : account.namespace, name }
  const object = objects.get({ group: '', resource: resource.plural }, key)
  if (object === undefined) throw notFound({ group: '', resource: resource.plural }, name)
  const actual = object.metadata.uid ?? ''
  if (uid !== undefined && uid !== '' && uid !== actual) {
    throw conflict(
      { group: '', resource: resource.plural },
      name,
      `the UID in the bound object reference (${uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    )
  }
  if (kind !== 'Pod') return { boundTo: { kind: resource.claim, name, uid: actual } }
  const pod = object as Pod
  if (serviceAccountNameOf(pod) !== account.name)
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(account.name)} to pod running with different serviceaccount name.`,
    )
  const nodeName = pod.spec?.nodeName
  if (!nodeName) return { boundTo: { kind: 'pod', name, uid: actual } }
  const node = objects.get<Node>({ group: '', resource: 'nodes' }, { namespace: '', name: nodeName })
  return {
    boundTo: { kind: 'pod', name, uid: actual },
    node: { name: nodeName, uid: node?.metadata.uid },
  }
}

const boundResources: Readonly<Record<string, { plural: string; claim: BoundObject['kind'] } | undefined>> = {
  Pod: { plural: 'pods', claim: 'pod' },
  Secret: { plural: 'secrets', claim: 'secret' },
  Node: { plural: 'nodes', claim: 'node' },
}
