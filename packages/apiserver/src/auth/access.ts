import type { SigningKey } from '@outrigger/certificates'
import type { Clock, Random } from '@outrigger/foundation'
import type { AdmissionPlugin } from '../admission/plugin.ts'
import type { Objects } from '../registry/objects.ts'
import type { Resource, Subresource } from '../registry/resource.ts'
import { type Authentication, createAuthentication } from './authentication.ts'
import { type Authorization, type AuthorizationOptions, createAuthorization } from './authorization.ts'
import { ensureBootstrapRbac } from './bootstrap-rbac.ts'
import { createEscalationCheck } from './escalation.ts'
import { forbiddenRequest } from './forbidden-request.ts'
import type { AuthorizationQuestion, PeerCertificate, UserInfo } from './identity.ts'
import {
  asksForImpersonation,
  type ImpersonatedRequest,
  impersonate,
  type RequestHeaders,
} from './impersonation.ts'
import { createOpenIdDocuments, type OpenIdDocuments } from './openid.ts'
import { createReviewResources } from './reviews.ts'
import { createServiceAccountTokens, type ServiceAccountTokens } from './service-account-tokens.ts'
import type { StaticToken } from './static-tokens.ts'
import { createTokenRequestSubresource } from './token-request.ts'

export interface AccessOptions {
  readonly objects: Objects
  readonly clock: Clock
  readonly random: Random
  /** Signs service account tokens. */
  readonly signingKey: SigningKey
  /** `iss` of service account tokens and their default audience. Defaults to the name Kubernetes itself uses. */
  readonly issuer?: string
  readonly staticTokens?: readonly StaticToken[]
  /** Defaults to true. */
  readonly allowsAnonymous?: boolean
  /** Defaults to `rbac`. */
  readonly mode?: AuthorizationOptions['mode']
}

/** Everything about who may do what, wired together. */
export interface Access {
  /**
   * The user a request is made as: authentication, then impersonation. `request` describes what is asked for, as
   * constrained impersonation depends on it.
   *
   * @throws StatusError 401, 403 or 400.
   */
  resolveUser(
    headers: RequestHeaders,
    certificate: PeerCertificate | undefined,
    request: ImpersonatedRequest,
  ): Promise<UserInfo>
  /** Passes, or throws the 403 to answer with. */
  authorize(question: AuthorizationQuestion): void
  readonly authentication: Authentication
  readonly authorization: Authorization
  readonly tokens: ServiceAccountTokens
  /** TokenReview, SelfSubjectReview and the access reviews. */
  readonly reviewResources: readonly Resource[]
  /** `serviceaccounts/token`. */
  readonly tokenRequest: Subresource
  /** Belongs at the end of the admission chain. */
  readonly escalationCheck: AdmissionPlugin
  /** Documents of `/.well-known/openid-configuration` and `/openid/v1/jwks` for a server at this URL. */
  openId(serverUrl: string): OpenIdDocuments
  /** Makes sure that the default roles and bindings exist. Repeatable. */
  bootstrap(): Promise<void>
}

const defaultIssuer = 'https://kubernetes.default.svc.cluster.local'

/** Wires authentication, impersonation, authorization and the resources that answer questions about them. */
export function createAccess(options: AccessOptions): Access {
  const { objects, clock, random, signingKey } = options
  const issuer = options.issuer ?? defaultIssuer
  const tokens = createServiceAccountTokens({ objects, key: signingKey, issuer, clock, random })
  const authentication = createAuthentication({
    staticTokens: options.staticTokens ?? [],
    serviceAccountTokens: tokens,
    allowsAnonymous: options.allowsAnonymous ?? true,
  })
  const authorization = createAuthorization({ objects, mode: options.mode ?? 'rbac' })
  return {
    async resolveUser(headers, certificate, request) {
      const header = headers['authorization']
      const user = await authentication.authenticate({
        authorization: typeof header === 'string' ? header : header?.[0],
        certificate,
      })
      return asksForImpersonation(headers) ? impersonate(user, headers, request, authorization) : user
    },
    authorize(question) {
      const answer = authorization.authorize(question)
      if (answer.decision !== 'allow') throw forbiddenRequest(question, answer.reason)
    },
    authentication,
    authorization,
    tokens,
    reviewResources: createReviewResources({ authentication, authorization }),
    tokenRequest: createTokenRequestSubresource(objects, tokens),
    escalationCheck: createEscalationCheck(authorization),
    openId: (serverUrl) => createOpenIdDocuments(signingKey, issuer, serverUrl),
    bootstrap: () => ensureBootstrapRbac(objects),
  }
}
