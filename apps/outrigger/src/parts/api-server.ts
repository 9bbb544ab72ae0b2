import type { ApiServer } from '@outrigger/apiserver'
import { type CertificateFolder, ensureSigningKey } from '@outrigger/certificates'
import type { Release } from '@outrigger/kube'
import { ensureAdminToken } from '../admin-token.ts'
import { pairOf } from '../cluster-certificates.ts'
import type { Service } from '../commands/serve.ts'
import type { DataDirectory } from '../data-directory.ts'

export interface ApiServerPartOptions {
  readonly directory: DataDirectory
  readonly folder: CertificateFolder
  readonly bindAddress: string
  readonly port: number
  readonly featureGates: Readonly<Record<string, boolean>>
  /** PEM of the authority that signs kubelets; left out, any kubelet is believed, as with kube-apiserver. */
  readonly kubeletAuthority: string | undefined
  readonly emulatedVersion?: Release
}

/** The embedded API server on a data directory, with its administrator's token. */
export async function createApiServerPart(
  options: ApiServerPartOptions,
  { clock, random, logger }: Service,
): Promise<ApiServer> {
  // Loaded only by those who serve: it has native parts, and is half of the program.
  const { createApiServer } = await import('@outrigger/apiserver')
  const { directory, folder, bindAddress, port, featureGates, kubeletAuthority, emulatedVersion } = options
  const serving = pairOf(folder, 'apiserver')
  const kubeletClient = pairOf(folder, 'apiserver-kubelet-client')
  return createApiServer({
    clock,
    random,
    logger: logger.with({ part: 'apiserver' }),
    dataDirectory: directory.store,
    listen: { host: bindAddress, port },
    tls: {
      certificate: serving.certificate,
      key: serving.privateKey,
      clientAuthorities: folder.authority.certificate,
    },
    tokens: [
      {
        token: await ensureAdminToken(directory.pki),
        user: { name: 'outrigger-admin', groups: ['system:masters', 'system:authenticated'] },
      },
    ],
    serviceAccountKey: await ensureSigningKey(directory.pki),
    featureGates,
    ...(emulatedVersion !== undefined && { emulatedRelease: emulatedVersion }),
    kubelet: {
      certificate: kubeletClient.certificate,
      key: kubeletClient.privateKey,
      ...(kubeletAuthority !== undefined && { ca: kubeletAuthority }),
    },
  })
}
