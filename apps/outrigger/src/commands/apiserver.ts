import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import { newestRelease, oldestRelease, type Release } from '@outrigger/kube'
import type { Command } from 'commander'
import { ensureAdminToken } from '../admin-token.ts'
import { ensureClusterCertificates } from '../cluster-certificates.ts'
import { openDataDirectory } from '../data-directory.ts'
import { absolutePath, type Environment } from '../environment.ts'
import { writeKubeconfig } from '../kubeconfig-file.ts'
import { createApiServerPart } from '../parts/api-server.ts'
import { type LogSettings, parseEmulatedVersion, parseFeatureGates, parseNumber } from '../settings.ts'
import { type Service, serve, withLogFlags } from './serve.ts'

interface ApiServerSettings extends LogSettings {
  readonly port: number
  readonly bindAddress: string
  readonly dataDir?: string
  readonly kubeconfig?: string
  readonly featureGates: Readonly<Record<string, boolean>>
  readonly kubeletCertificateAuthority?: string
  readonly emulatedVersion?: Release
}

export function addApiServerCommand(program: Command, environment: Environment): void {
  const command = program
    .command('apiserver')
    .description('run the embedded Kubernetes API server alone')
    .option('--port <port>', 'port to serve on; 0 takes any free one', parseNumber('--port', 0, 65_535), 6443)
    .option('--bind-address <address>', 'address to listen on', '127.0.0.1')
    .option('--data-dir <folder>', 'where it keeps its state (default: ~/.outrigger)')
    .option(
      '--kubeconfig <file>',
      'kubeconfig to write, mode 0600 (default: kubeconfig in the data directory)',
    )
    .option(
      '--kubelet-certificate-authority <file>',
      'who vouches for kubelets (default: any kubelet is believed)',
    )
    .option('--feature-gates <gates>', 'for example SidecarSetServerlessPod=true', parseFeatureGates, {})
    .option(
      '--emulated-version <version>',
      `release of Kubernetes to look like, from 1.${oldestRelease} on (default: 1.${newestRelease})`,
      parseEmulatedVersion,
    )
  withLogFlags(command).action((settings: ApiServerSettings) =>
    serve(settings, environment, (service) => begin(settings, environment, service)),
  )
}

async function begin(settings: ApiServerSettings, environment: Environment, service: Service): Promise<void> {
  const path = settings.dataDir ?? join(environment.homeDirectory, '.outrigger')
  const directory = await openDataDirectory(absolutePath(environment, path), environment.processId)
  service.atEnd(() => directory.release())
  const names = { hostName: environment.hostName, bindAddress: settings.bindAddress, nodes: [] }
  const folder = await ensureClusterCertificates(directory, names, service)
  const server = await createApiServerPart(
    { ...settings, directory, folder, kubeletAuthority: await readAuthority(settings, environment) },
    service,
  )
  const url = (await service.start(server, server.ready))?.url ?? ''
  const kubeconfig =
    settings.kubeconfig === undefined ? directory.kubeconfig : absolutePath(environment, settings.kubeconfig)
  await writeKubeconfig(kubeconfig, {
    server: url,
    certificateAuthority: folder.authority.certificate,
    token: await ensureAdminToken(directory.pki),
  })
  environment.writeOut(`The API server is up: ${url}\n  kubeconfig ${kubeconfig}\n`)
}

async function readAuthority(
  { kubeletCertificateAuthority: file }: ApiServerSettings,
  environment: Environment,
): Promise<string | undefined> {
  if (file === undefined) return undefined
  return readFile(absolutePath(environment, file), 'utf8').catch((error: unknown) => {
    throw new UserError(
      `--kubelet-certificate-authority ${file} cannot be read: ${messageOf(error)}`,
      'name a PEM file',
      {
        cause: error,
      },
    )
  })
}
