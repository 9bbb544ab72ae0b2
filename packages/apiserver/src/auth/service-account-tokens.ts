import { createHash } from 'node:crypto'
import type { SigningKey } from '@outrigger/certificates'
import { type Clock, parseTime, type Random } from '@outrigger/foundation'
import type { KubeObject, Pod } from '@outrigger/kube'
import type { Objects } from '../registry/objects.ts'
import { BoundedCache } from './bounded-cache.ts'
import type { UserInfo } from './identity.ts'
import { createTokenSigner, looksLikeJsonWebToken } from './json-web-token.ts'

/** How long after their deletion began objects still vouch for tokens bound to them, in milliseconds. */
const deletionLeeway = 60_000
const prefix = 'authentication.kubernetes.io'

export interface ServiceAccountTokensOptions {
  readonly objects: Objects
  readonly key: SigningKey
  /** `iss` of tokens: an https URL. */
  readonly issuer: string
  /** Audiences of this API server; the first is the default. Defaults to the issuer. */
  readonly audiences?: readonly string[]
  readonly clock: Clock
  readonly random: Random
}

export interface TokenRequestFacts {
  readonly namespace: string
  readonly serviceAccount: { readonly name: string; readonly uid: string }
  readonly audiences: readonly string[]
  readonly expirationSeconds: number
  readonly boundTo?: BoundObject
  /** The node of a bound pod, told to whoever checks the token. */
  readonly node?: { readonly name: string; readonly uid: string | undefined }
}

export interface BoundObject {
  readonly kind: 'pod' | 'secret' | 'node'
  readonly name: string
  readonly uid: string
}

export interface IssuedToken {
  readonly token: string
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

export interface ReviewedToken {
  readonly user: UserInfo
  /** Those audiences of the token that were asked for. */
  readonly audiences: readonly string[]
}

/** Issues and checks the tokens of service accounts. */
export interface ServiceAccountTokens {
  readonly issuer: string
  readonly audiences: readonly string[]
  issue(facts: TokenRequestFacts): IssuedToken
  /**
   * Who a token stands for, when it is meant for one of `audiences` (defaults to this server's). A
   * text says why it is refused; undefined means it is none of ours.
   */
  review(
    token: string,
    audiences?: readonly string[],
  ): ReviewedToken | { readonly refused: string } | undefined
}

/**
 * Bound service account tokens as Kubernetes issues them: ES256 JWTs that die with their service
 * account, with the pod, secret or node they are bound to, and with time.
 */
export function createServiceAccountTokens(options: ServiceAccountTokensOptions): ServiceAccountTokens {
  const signer = createTokenSigner(options.key)
  const audiences = options.audiences ?? [options.issuer]
  // Checking a signature costs a tenth of a millisecond; what is cached is only that it was right.
  const verified = new BoundedCache<string, Claims>(2048)

  function claimsOf(token: string): Claims | undefined {
    if (!looksLikeJsonWebToken(token)) return undefined
    const hash = createHash('sha256').update(token).digest('base64')
    const known = verified.get(hash)
    if (known !== undefined) return known
    const claims = parseClaims(signer.verify(token))
    if (claims !== undefined) verified.set(hash, claims)
    return claims
  }

  return {
    issuer: options.issuer,
    audiences,
    issue(facts) {
      const issuedAt = Math.floor(options.clock.now() / 1000)
      const expiresAt = issuedAt + facts.expirationSeconds
      const token = signer.sign({
        aud: facts.audiences,
        exp: expiresAt,
        iat: issuedAt,
        iss: options.issuer,
        jti: options.random.uuid(),
        'kubernetes.io': {
          namespace: facts.namespace,
          ...(facts.node === undefined ? {} : { node: facts.node }),
          ...(facts.boundTo === undefined
            ? {}
            : { [facts.boundTo.kind]: { name: facts.boundTo.name, uid: facts.boundTo.uid } }),
          serviceaccount: facts.serviceAccount,
        },
        nbf: issuedAt,
        sub: userNameOf(facts.namespace, facts.serviceAccount.name),
      })
      return { token, expiresAt: expiresAt * 1000 }
    },
    review(token, wanted = audiences) {
      const claims = claimsOf(token)
      if (claims === undefined || claims.issuer !== options.issuer) return undefined
      const now = options.clock.now()
      if (now >= claims.expiresAt) return { refused: 'service account token has expired' }
      if (now < claims.notBefore) return { refused: 'service account token is not valid yet' }
      const shared = wanted.filter((audience) => claims.audiences.includes(audience))
      if (shared.length === 0)
        return {
          refused: `token audiences ${showList(claims.audiences)} is invalid for the target audiences ${showList(wanted)}`,
        }
      const dead = whyDead(claims, options.objects, now)
      return dead === undefined ? { user: userOf(claims), audiences: shared } : { refused: dead }
    },
  }
}

/** `system:serviceaccount:<namespace>:<name>`. */
export function userNameOf(namespace: string, name: string): string {
  return `system:serviceaccount:${namespace}:${name}`
}

/** Namespace and name in a service account's user name; undefined for other users. */
export function serviceAccountOf(userName: string): { namespace: string; name: string } | undefined {
  const match = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(userName)
  return match === null ? undefined : { namespace: match[1] ?? '', name: match[2] ?? '' }
}

/** The groups of every service account of a namespace. */
export function serviceAccountGroups(namespace: string): readonly string[] {
  return ['system:serviceaccounts', `system:serviceaccounts:${namespace}`]
}

interface Claims {
  readonly issuer: string
  readonly id: string
  readonly audiences: readonly string[]
  readonly expiresAt: number
  readonly notBefore: number
  readonly namespace: string
  readonly serviceAccount: Reference
  readonly pod: Reference | undefined
  readonly secret: Reference | undefined
  readonly node: Reference | undefined
  readonly user: { current?: UserInfo }
}

interface Reference {
  readonly name: string
  readonly uid: string
}

function parseClaims(raw: Readonly<Record<string, unknown>> | undefined): Claims | undefined {
  if (raw === undefined) return undefined
  const own = raw['kubernetes.io']
  if (typeof own !== 'object' || own === null) return undefined
  const parts = own as Record<string, unknown>
  const serviceAccount = parseReference(parts['serviceaccount'])
  const { iss, jti, aud, exp, nbf } = raw
  if (serviceAccount === undefined || typeof parts['namespace'] !== 'string') return undefined
  if (typeof iss !== 'string' || typeof exp !== 'number' || !Array.isArray(aud)) return undefined
  return {
    issuer: iss,
    id: typeof jti === 'string' ? jti : '',
    audiences: aud.map(String),
    expiresAt: exp * 1000,
    notBefore: typeof nbf === 'number' ? nbf * 1000 : 0,
    namespace: parts['namespace'],
    serviceAccount,
    pod: parseReference(parts['pod']),
    secret: parseReference(parts['secret']),
    node: parseReference(parts['node']),
    user: {},
  }
}

function parseReference(value: unknown): Reference | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, uid } = value as Record<string, unknown>
  return typeof name === 'string' ? { name, uid: typeof uid === 'string' ? uid : '' } : undefined
}

/** Why the objects behind a token no longer vouch for it. */
function whyDead(claims: Claims, objects: Objects, now: number): string | undefined {
  const account = objects.get(
    { group: '', resource: 'serviceaccounts' },
    { namespace: claims.namespace, name: claims.serviceAccount.name },
  )
  if (!isAlive(account, claims.serviceAccount.uid, now)) return 'service account token has been invalidated'
  const bound = [
    ['secrets', claims.namespace, claims.secret],
    ['pods', claims.namespace, claims.pod],
    // For a pod's token the node is only information; the pod vouches.
    ['nodes', '', claims.pod === undefined ? claims.node : undefined],
  ] as const
  for (const [resource, namespace, reference] of bound) {
    if (reference === undefined) continue
    const object = objects.get({ group: '', resource }, { namespace, name: reference.name })
    if (!isAlive(object, reference.uid, now)) return 'service account token has been invalidated'
  }
  return undefined
}

function isAlive(object: KubeObject | undefined, uid: string, now: number): boolean {
  if (object === undefined || object.metadata.uid !== uid) return false
  const deletion = object.metadata.deletionTimestamp
  return deletion === undefined || deletion === null || now <= parseTime(deletion) + deletionLeeway
}

/** Made once per token, so that caches keyed by the user find it again. */
function userOf(claims: Claims): UserInfo {
  const { pod, node } = claims
  claims.user.current ??= {
    name: userNameOf(claims.namespace, claims.serviceAccount.name),
    uid: claims.serviceAccount.uid,
    groups: [...serviceAccountGroups(claims.namespace), 'system:authenticated'],
    extra: {
      ...(claims.id === '' ? {} : { [`${prefix}/credential-id`]: [`JTI=${claims.id}`] }),
      ...(node === undefined
        ? {}
        : {
            [`${prefix}/node-name`]: [node.name],
            ...(node.uid === '' ? {} : { [`${prefix}/node-uid`]: [node.uid] }),
          }),
      ...(pod === undefined ? {} : { [`${prefix}/pod-name`]: [pod.name], [`${prefix}/pod-uid`]: [pod.uid] }),
    },
  }
  return claims.user.current
}

const showList = (texts: readonly string[]): string =>
  `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`

/** The service account a pod runs as. */
export function serviceAccountNameOf(pod: Pod): string {
  return pod.spec?.serviceAccountName || pod.spec?.serviceAccount || 'default'
}
