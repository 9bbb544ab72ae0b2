/** Who is asking, as `authentication.k8s.io` describes a user. */
export interface UserInfo {
  readonly name: string
  readonly uid?: string
  readonly groups: readonly string[]
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/** What of a request can prove an identity. */
export interface Credentials {
  /** The Authorization header. */
  readonly authorization: string | undefined
  /** Subject of a client certificate that our CA signed and the TLS layer verified. */
  readonly certificate: PeerCertificate | undefined
}

/** Subject of a client certificate. */
export interface PeerCertificate {
  readonly commonName: string
  readonly organizations: readonly string[]
  /** Hash of the certificate in lower-case hex; becomes part of the user's credential id. */
  readonly sha256?: string
}

/** Names the user, or `undefined` when the credentials mean nothing to it. Throws StatusError 401 when they are wrong. */
export interface Authenticator {
  authenticate(credentials: Credentials): Promise<UserInfo | undefined> | UserInfo | undefined
}

/** One question to an authorizer. A non-resource request has `path` and nothing of a resource. */
export interface AuthorizationQuestion {
  readonly user: UserInfo
  readonly verb: string
  readonly group: string
  readonly version: string
  readonly resource: string
  readonly subresource: string
  readonly namespace: string
  readonly name: string
  readonly path: string
  readonly isResourceRequest: boolean
}

export type AuthorizationAnswer =
  | { readonly decision: 'allow'; readonly reason: string }
  | { readonly decision: 'deny' | 'no-opinion'; readonly reason: string }

export interface Authorizer {
  authorize(question: AuthorizationQuestion): AuthorizationAnswer | Promise<AuthorizationAnswer>
}
