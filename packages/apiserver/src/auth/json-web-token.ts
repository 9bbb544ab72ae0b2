import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { SigningKey } from '@outrigger/certificates'

/** Tokens longer than this are refused unread. */
const maxTokenLength = 16 * 1024

/** Signs and checks compact JWTs with ES256 and one key. */
export interface TokenSigner {
  sign(claims: Readonly<Record<string, unknown>>): string
  /** The claims, or undefined when this key did not sign the text. Says nothing about expiry. */
  verify(token: string): Readonly<Record<string, unknown>> | undefined
}

/** Whether a bearer token has the form of a JWT. */
export function looksLikeJsonWebToken(token: string): boolean {
  return token.length <= maxTokenLength && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
}

/** A signer on an EC P-256 key. */
export function createTokenSigner(key: SigningKey): TokenSigner {
  const privateKey = createPrivateKey(key.privateKey)
  const publicKey = createPublicKey(key.publicKey)
  const header = encode({ alg: 'ES256', kid: key.keyId })
  return {
    sign(claims) {
      const text = `${header}.${encode(claims)}`
      const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })
      return `${text}.${signature.toString('base64url')}`
    },
    verify: (token) => verifyToken(token, publicKey),
  }
}

function verifyToken(token: string, publicKey: KeyObject): Readonly<Record<string, unknown>> | undefined {
  if (!looksLikeJsonWebToken(token)) return undefined
  const [head = '', body = '', signature = ''] = token.split('.')
  // The algorithm is ours to choose, never the token's.
  if (decode(head)?.['alg'] !== 'ES256') return undefined
  const isOurs = verify(
    'sha256',
    Buffer.from(`${head}.${body}`),
    { key: publicKey, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url'),
  )
  return isOurs ? decode(body) : undefined
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function decode(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
