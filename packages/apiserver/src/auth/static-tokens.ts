import { hash, randomBytes } from 'node:crypto'
import type { Authenticator, UserInfo } from './identity.ts'

/** A bearer token that stands for a user until the server is restarted without it. */
export interface StaticToken {
  readonly token: string
  readonly user: UserInfo
}

/** The token of an `Authorization: Bearer` header; undefined for any other header. */
export function bearerToken(authorization: string | undefined): string | undefined {
  if (authorization === undefined) return undefined
  const match = /^bearer +(\S+)\s*$/i.exec(authorization)
  return match?.[1]
}

/**
 * Recognizes fixed bearer tokens. Only keyed hashes of them are kept and looked up, so neither memory
 * nor the time a comparison takes tells anything about a token.
 */
export function createStaticTokens(tokens: readonly StaticToken[]): Authenticator {
  const secret = randomBytes(32).toString('base64')
  // Asked for with every request. Nobody gets to see a hash, so the key may simply go first.
  const digest = (token: string) => hash('sha256', secret + token, 'base64')
  const users = new Map(tokens.map(({ token, user }) => [digest(token), user]))
  return {
    authenticate({ authorization }) {
      if (users.size === 0) return undefined
      const token = bearerToken(authorization)
      return token === undefined ? undefined : users.get(digest(token))
    },
  }
}
