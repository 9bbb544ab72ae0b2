import { createPublicKey } from 'node:crypto'
import type { SigningKey } from '@outrigger/certificates'

/** The two public documents by which others check service account tokens. */
export interface OpenIdDocuments {
  /** Body of `/.well-known/openid-configuration`, application/json. */
  readonly configuration: string
  /** Body of `/openid/v1/jwks`, application/jwk-set+json. */
  readonly keys: string
}

/** Describes `key` for relying parties. `serverUrl` is where they reach this server, without a slash at the end. */
export function createOpenIdDocuments(key: SigningKey, issuer: string, serverUrl: string): OpenIdDocuments {
  const { x, y } = createPublicKey(key.publicKey).export({ format: 'jwk' })
  return {
    configuration: JSON.stringify({
      issuer,
      jwks_uri: `${serverUrl}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    }),
    keys: JSON.stringify({
      keys: [{ use: 'sig', kty: 'EC', kid: key.keyId, crv: 'P-256', alg: 'ES256', x, y }],
    }),
  }
}
