import { StatusError } from '../registry/status-error.ts'
import type { Authenticator, Credentials, PeerCertificate, UserInfo } from './identity.ts'
import type { ReviewedToken, ServiceAccountTokens } from './service-account-tokens.ts'
import { bearerToken, createStaticTokens, type StaticToken } from './static-tokens.ts'

export interface AuthenticationOptions {
  readonly staticTokens?: readonly StaticToken[]
  readonly serviceAccountTokens?: ServiceAccountTokens
  /** Further ways to recognize somebody, tried before the built-in ones. */
  readonly others?: readonly Authenticator[]
  /** Whether requests without credentials go on as `system:anonymous`. Defaults to true. */
  readonly allowsAnonymous?: boolean
}

export interface Authentication {
  /** @throws StatusError 401 when credentials are wrong, or missing and anonymous requests are off. */
  authenticate(credentials: Credentials): Promise<UserInfo>
  /** Who a bearer token stands for, for TokenReview. A text says why not. */
  reviewToken(
    token: string,
    audiences: readonly string[],
  ): Promise<ReviewedToken | { readonly refused: string }>
}

/** Requests without credentials. */
export const anonymous: UserInfo = { name: 'system:anonymous', groups: ['system:unauthenticated'] }

/** 401, as every failed authentication is answered: without a reason. */
export const unauthorized = (): StatusError =>
  new StatusError({ code: 401, reason: 'Unauthorized', message: 'Unauthorized' })

/**
 * Decides who is asking: client certificate first, then bearer token, then anonymous. Everybody who is
 * recognized gets the group `system:authenticated`.
 */
export function createAuthentication(options: AuthenticationOptions): Authentication {
  const staticTokens = createStaticTokens(options.staticTokens ?? [])
  const allowsAnonymous = options.allowsAnonymous ?? true
  const completed = new WeakMap<UserInfo, UserInfo>()

  /** The same object for the same user, so that caches keyed by users work. */
  function complete(user: UserInfo): UserInfo {
    if (user.groups.includes('system:authenticated') || user.groups.includes('system:unauthenticated'))
      return user
    const known = completed.get(user)
    if (known !== undefined) return known
    const whole = { ...user, groups: [...user.groups, 'system:authenticated'] }
    completed.set(user, whole)
    return whole
  }

  return {
    async authenticate(credentials) {
      for (const other of options.others ?? []) {
        const user = await other.authenticate(credentials)
        if (user !== undefined) return complete(user)
      }
      if (credentials.certificate !== undefined && credentials.certificate.commonName !== '')
        return certificateUser(credentials.certificate)
      if (credentials.authorization === undefined || credentials.authorization === '') {
        if (allowsAnonymous) return anonymous
        throw unauthorized()
      }
      const known = await staticTokens.authenticate(credentials)
      if (known !== undefined) return complete(known)
      const token = bearerToken(credentials.authorization)
      if (token === undefined) {
        // Other schemes than Bearer are as good as no credentials.
        if (allowsAnonymous) return anonymous
        throw unauthorized()
      }
      const review = options.serviceAccountTokens?.review(token)
      if (review === undefined || 'refused' in review) throw unauthorized()
      return review.user
    },
    async reviewToken(token, audiences) {
      const authorization = `Bearer ${token}`
      const own = options.serviceAccountTokens?.audiences ?? []
      const wanted = audiences.length === 0 ? own : audiences
      const known = await staticTokens.authenticate({ authorization, certificate: undefined })
      if (known !== undefined) {
        const shared = wanted.filter((audience) => own.includes(audience))
        return shared.length === 0 && audiences.length > 0
          ? { refused: 'token is not valid for the requested audiences' }
          : { user: complete(known), audiences: shared }
      }
      return options.serviceAccountTokens?.review(token, wanted) ?? { refused: 'invalid bearer token' }
    },
  }
}

const certificateUsers = new WeakMap<PeerCertificate, UserInfo>()

function certificateUser(certificate: PeerCertificate): UserInfo {
  const known = certificateUsers.get(certificate)
  if (known !== undefined) return known
  const user: UserInfo = {
    name: certificate.commonName,
    groups: [...certificate.organizations, 'system:authenticated'],
    ...(certificate.sha256 === undefined
      ? {}
      : { extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${certificate.sha256}`] } }),
  }
  certificateUsers.set(certificate, user)
  return user
}
