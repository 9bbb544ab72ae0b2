import { createHash, createPrivateKey, createPublicKey, generateKeyPair } from 'node:crypto'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError } from '@outrigger/foundation'
import { makePrivateDirectory, readIfThere, writeAtomically } from './atomic-file.ts'

/** A key that signs tokens with ES256. Never log the private half. */
export interface SigningKey {
  /** PKCS #8 PEM. */
  readonly privateKey: string
  /** SPKI PEM. */
  readonly publicKey: string
  /** `kid` of its tokens: the hash of the public key, as Kubernetes computes it. */
  readonly keyId: string
}

/** Makes an EC P-256 key for signing tokens. */
export async function createSigningKey(): Promise<SigningKey> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return parseSigningKey(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
}

/** Reads a PEM private key. @throws TypeError when it is not EC P-256. */
export function parseSigningKey(pem: string): SigningKey {
  const privateKey = createPrivateKey(pem)
  if (privateKey.asymmetricKeyType !== 'ec' || privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new TypeError('the key is not of the curve P-256')
  const publicKey = createPublicKey(privateKey)
  return {
    privateKey: pem,
    publicKey: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    keyId: createHash('sha256')
      .update(publicKey.export({ type: 'spki', format: 'der' }))
      .digest('base64url'),
  }
}

/**
 * The signing key in `<directory>/<file>.key`, made on first use and kept for ever: tokens signed
 * with it outlive restarts.
 *
 * @throws UserError that names the file when it holds something else.
 */
export async function ensureSigningKey(directory: string, file = 'service-account'): Promise<SigningKey> {
  await makePrivateDirectory(directory)
  const path = join(directory, `${file}.key`)
  const pem = await readIfThere(path)
  if (pem !== undefined) {
    try {
      return parseSigningKey(pem)
    } catch {
      throw new UserError(
        `${path} holds no EC P-256 private key`,
        'remove it to have a new one made; tokens signed so far become invalid',
      )
    }
  }
  const key = await createSigningKey()
  await writeAtomically(path, key.privateKey)
  return key
}
