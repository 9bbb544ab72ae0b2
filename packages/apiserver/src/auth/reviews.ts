import { formatTime } from '@outrigger/foundation'
import {
  type FieldError,
  fieldErrorBody,
  fieldErrorReason,
  formatFieldError,
  type KubeObject,
  type LocalSubjectAccessReview,
  type NonResourceAttributes,
  type PolicyRule,
  type ResourceAttributes,
  type ResourceRule,
  type Schema,
  type SelfSubjectRulesReview,
  type SubjectAccessReviewSpec,
  schemaOfKind,
  type TokenReview,
} from '@outrigger/kube'
import type { Resource, Strategy, VirtualRequest, VirtualResource } from '../registry/resource.ts'
import { badRequest, StatusError } from '../registry/status-error.ts'
import type { Authentication } from './authentication.ts'
import type { Authorization } from './authorization.ts'
import type { AuthorizationQuestion, UserInfo } from './identity.ts'
import { nodeNameOf } from './node-authorizer.ts'

const authenticationGroup = 'authentication.k8s.io'
const authorizationGroup = 'authorization.k8s.io'

export interface ReviewsOptions {
  readonly authentication: Authentication
  readonly authorization: Authorization
}

type Answer = { readonly code: number; readonly object: Record<string, unknown> }

/**
 * The resources that answer questions about users and rights: TokenReview, SelfSubjectReview and the access
 * reviews. They take a creation, answer in its body and store nothing.
 */
export function createReviewResources(options: ReviewsOptions): readonly Resource[] {
  const { authentication, authorization } = options
  return [
    review(authenticationGroup, 'TokenReview', false, (request) => reviewToken(authentication, request)),
    review(authenticationGroup, 'SelfSubjectReview', false, async ({ user, context }) =>
      created({
        kind: 'SelfSubjectReview',
        apiVersion: `${authenticationGroup}/v1`,
        metadata: { creationTimestamp: formatTime(context.now) },
        status: { userInfo: showUser(user) },
      }),
    ),
    review(authorizationGroup, 'SubjectAccessReview', false, (request) =>
      reviewAccess(authorization, request, userOfSpec(request)),
    ),
    review(authorizationGroup, 'LocalSubjectAccessReview', true, (request) => {
      const { spec } = request.body as LocalSubjectAccessReview
      if ((spec.resourceAttributes?.namespace ?? '') !== request.key.namespace)
        throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${request.key.namespace}`)
      return reviewAccess(authorization, request, userOfSpec(request))
    }),
    review(authorizationGroup, 'SelfSubjectAccessReview', false, (request) =>
      reviewAccess(authorization, request, request.user),
    ),
    review(authorizationGroup, 'SelfSubjectRulesReview', false, (request) =>
      reviewRules(authorization, request),
    ),
  ]
}

async function reviewToken(authentication: Authentication, { body }: VirtualRequest): Promise<Answer> {
  const { spec } = body as TokenReview
  if (!spec?.token) throw badRequest('token is required for TokenReview in authentication')
  const outcome = await authentication.reviewToken(spec.token, spec.audiences ?? [])
  const status =
    'refused' in outcome
      ? { authenticated: false, user: {}, error: `[invalid bearer token, ${outcome.refused}]` }
      : {
          authenticated: true,
          user: showUser(outcome.user),
          ...(outcome.audiences.length === 0 ? {} : { audiences: outcome.audiences }),
        }
  return created({
    kind: 'TokenReview',
    apiVersion: `${authenticationGroup}/v1`,
    metadata: body.metadata ?? {},
    spec,
    status,
  })
}

type AccessSpec = Partial<SubjectAccessReviewSpec>

async function reviewAccess(
  authorization: Authorization,
  { body }: VirtualRequest,
  user: UserInfo,
): Promise<Answer> {
  const spec: AccessSpec = (body as KubeObject & { spec?: AccessSpec }).spec ?? {}
  const errors = checkAccessSpec(spec, body.kind)
  if (errors.length > 0) throw invalidReview(errors)
  const answer = authorization.authorize(questionOf(user, spec))
  return created({
    kind: body.kind,
    apiVersion: `${authorizationGroup}/v1`,
    metadata: body.metadata ?? {},
    spec,
    status: {
      allowed: answer.decision === 'allow',
      ...(answer.decision === 'deny' ? { denied: true } : {}),
      ...(answer.reason === '' ? {} : { reason: answer.reason }),
    },
  })
}

function checkAccessSpec(spec: AccessSpec, kind: string): readonly FieldError[] {
  const errors: FieldError[] = []
  const both = Boolean(spec.resourceAttributes) && Boolean(spec.nonResourceAttributes)
  if (both) {
    errors.push({
      type: 'invalid',
      field: 'spec.nonResourceAttributes',
      value: spec.nonResourceAttributes,
      detail: 'cannot be specified in combination with resourceAttributes',
    })
  }
  if (!spec.resourceAttributes && !spec.nonResourceAttributes) {
    errors.push({
      type: 'invalid',
      field: 'spec.resourceAttributes',
      value: null,
      detail: 'exactly one of nonResourceAttributes or resourceAttributes must be specified',
    })
  }
  if (kind !== 'SelfSubjectAccessReview' && !spec.user && !spec.groups?.length) {
    errors.push({
      type: 'invalid',
      field: 'spec.user',
      value: spec.user ?? '',
      detail: 'at least one of user or group must be specified',
    })
  }
  return errors
}

/** Kubernetes forgets the kind here, so its refusal begins with a dot. Clients may compare it. */
function invalidReview(errors: readonly FieldError[]): StatusError {
  const texts = errors.map(formatFieldError)
  return new StatusError({
    code: 422,
    reason: 'Invalid',
    message: `.${authorizationGroup} "" is invalid: ${texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`}`,
    details: {
      group: authorizationGroup,
      causes: errors.map((error) => ({
        reason: fieldErrorReason(error),
        message: fieldErrorBody(error),
        field: error.field,
      })),
    },
  })
}

function userOfSpec({ body }: VirtualRequest): UserInfo {
  const spec: AccessSpec = (body as KubeObject & { spec?: AccessSpec }).spec ?? {}
  return {
    name: spec.user ?? '',
    groups: spec.groups ?? [],
    ...(spec.uid ? { uid: spec.uid } : {}),
    ...(spec.extra ? { extra: spec.extra } : {}),
  }
}

function questionOf(user: UserInfo, spec: AccessSpec): AuthorizationQuestion {
  const resource: ResourceAttributes = spec.resourceAttributes ?? {}
  const other: NonResourceAttributes = spec.nonResourceAttributes ?? {}
  const isResourceRequest = Boolean(spec.resourceAttributes)
  return {
    user,
    verb: (isResourceRequest ? resource.verb : other.verb) ?? '',
    group: resource.group ?? '',
    version: resource.version ?? '',
    resource: resource.resource ?? '',
    subresource: resource.subresource ?? '',
    namespace: resource.namespace ?? '',
    name: resource.name ?? '',
    path: other.path ?? '',
    isResourceRequest,
  }
}

async function reviewRules(authorization: Authorization, { body, user }: VirtualRequest): Promise<Answer> {
  const spec = (body as SelfSubjectRulesReview).spec
  const namespace = spec?.namespace ?? ''
  if (namespace === '') throw badRequest('no namespace on request')
  const isMaster = user.groups.includes('system:masters')
  const everything: readonly PolicyRule[] = [
    { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
    { nonResourceURLs: ['*'], verbs: ['*'] },
  ]
  const rules = isMaster ? everything : authorization.rbac.rulesFor(user, namespace)
  const isNode = nodeNameOf(user) !== undefined
  const resourceRules: ResourceRule[] = []
  const nonResourceRules: { verbs: string[]; nonResourceURLs: string[] }[] = []
  for (const rule of rules) {
    if (rule.resources?.length) {
      resourceRules.push({
        verbs: [...rule.verbs],
        apiGroups: [...(rule.apiGroups ?? [])],
        resources: [...rule.resources],
        ...(rule.resourceNames?.length ? { resourceNames: [...rule.resourceNames] } : {}),
      })
    }
    if (rule.nonResourceURLs?.length)
      nonResourceRules.push({ verbs: [...rule.verbs], nonResourceURLs: [...rule.nonResourceURLs] })
  }
  return created({
    kind: 'SelfSubjectRulesReview',
    apiVersion: `${authorizationGroup}/v1`,
    metadata: body.metadata ?? {},
    spec: {},
    status: {
      resourceRules,
      nonResourceRules,
      incomplete: isNode,
      ...(isNode ? { evaluationError: 'node authorizer does not support user rule resolution' } : {}),
    },
  })
}

const created = (object: Record<string, unknown>): Answer => ({ code: 201, object })

/** A user as `authentication.k8s.io` shows it. */
export function showUser(user: UserInfo): Record<string, unknown> {
  return {
    username: user.name,
    ...(user.uid === undefined || user.uid === '' ? {} : { uid: user.uid }),
    ...(user.groups.length === 0 ? {} : { groups: user.groups }),
    ...(user.extra === undefined || Object.keys(user.extra).length === 0 ? {} : { extra: user.extra }),
  }
}

function review(
  group: string,
  kind: string,
  namespaced: boolean,
  create: NonNullable<VirtualResource['create']>,
): Resource {
  const singular = kind.toLowerCase()
  return {
    group,
    version: 'v1',
    plural: `${singular}s`,
    singular,
    kind,
    listKind: `${kind}List`,
    shortNames: [],
    categories: [],
    namespaced,
    verbs: ['create'],
    isCustom: false,
    schema: schemaOfKind(group, 'v1', kind) as Schema,
    strategy: reviewStrategy,
    columns: [],
    selectableFields: () => ({}),
    selectableFieldNames: [],
    subresources: {},
    storage: { group, resource: `${singular}s`, version: 'v1' },
    virtual: { create },
  }
}

/** Nothing of a review is stored, so there is nothing to prepare or to compare. */
const reviewStrategy: Strategy = {
  applyDefaults() {},
  prepareForCreate() {},
  validateCreate: () => [],
  prepareForUpdate() {},
  validateUpdate: () => [],
  warnings: () => [],
  nameProblems: () => [],
  createsOnUpdate: false,
  updatesUnconditionally: true,
  tracksGeneration: false,
  generationFields: [],
}
