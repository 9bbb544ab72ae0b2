import { type Client, isAlreadyExists, isConflict, isNotFound } from '@outrigger/client'
import { type ObjectKey, resources, type Secret } from '@outrigger/kube'
import type { CertificateStore, ExternalCertificates, StoredCertificates } from '@outrigger/webhook'

/** Webhook certificates in a Secret, under the keys OpenKruise uses. */
export function createSecretCertificateStore(
  client: Pick<Client, 'get' | 'create' | 'update'>,
  key: ObjectKey,
): CertificateStore {
  return {
    read: async (signal) => {
      try {
        const secret = await client.get<Secret>(resources.secrets, key, { signal })
        return { certificates: decode(secret), version: secret.metadata.resourceVersion }
      } catch (error) {
        if (isNotFound(error)) return { certificates: undefined, version: undefined }
        throw error
      }
    },
    write: async (certificates, version, signal) => {
      const secret = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { ...key, ...(version !== undefined && { resourceVersion: version }) },
        type: 'Opaque',
        data: encode(certificates),
      }
      try {
        if (version === undefined) await client.create<Secret>(resources.secrets, secret, { signal })
        else await client.update<Secret>(resources.secrets, secret, { signal })
        return true
      } catch (error) {
        if (isConflict(error) || isAlreadyExists(error)) return false
        throw error
      }
    },
  }
}

/** The pair and its authority that cert-manager keeps in a Secret. Reads only. */
export async function readExternalCertificates(
  client: Pick<Client, 'get'>,
  key: ObjectKey,
  signal: AbortSignal,
): Promise<ExternalCertificates | undefined> {
  try {
    const { data = {} } = await client.get<Secret>(resources.secrets, key, { signal })
    const text = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString('utf8')
    const server = { certificate: text('tls.crt'), privateKey: text('tls.key') }
    // A certificate that signed itself is its own authority.
    return server.certificate === ''
      ? undefined
      : { server, authorities: text('ca.crt') || server.certificate }
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

function encode({ authority, server, bundle }: StoredCertificates): Record<string, string> {
  const texts = {
    'ca-key.pem': authority.privateKey,
    'ca-cert.pem': authority.certificate,
    'ca-bundle.pem': bundle,
    'key.pem': server.privateKey,
    'tls.key': server.privateKey,
    'cert.pem': server.certificate,
    'tls.crt': server.certificate,
  }
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
  )
}

function decode({ data = {} }: Secret): StoredCertificates | undefined {
  const text = (name: string) => Buffer.from(data[name] ?? '', 'base64').toString('utf8')
  const authority = { certificate: text('ca-cert.pem'), privateKey: text('ca-key.pem') }
  const server = { certificate: text('tls.crt'), privateKey: text('tls.key') }
  const parts = [authority.certificate, authority.privateKey, server.certificate, server.privateKey]
  if (parts.some((part) => part === '')) return undefined
  return { authority, server, bundle: text('ca-bundle.pem') || authority.certificate }
}
