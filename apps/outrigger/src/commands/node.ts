import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { ensureCertificates, type KeyPair } from '@outrigger/certificates'
import { type ClusterClient, isNotFound } from '@outrigger/client'
import { UserError } from '@outrigger/foundation'
import { type ConfigMap, resources } from '@outrigger/kube'
import type { Command } from 'commander'
import { nodeServingFile } from '../cluster-certificates.ts'
import { type ConnectionSettings, connect, findConnection, withConnectionFlags } from '../connection.ts'
import { openDataDirectory } from '../data-directory.ts'
import { absolutePath, type Environment } from '../environment.ts'
import { createNode } from '../parts/node.ts'
import { openPodRuntimes, type RuntimeKind } from '../parts/pod-runtimes.ts'
import { type LogSettings, parseChoice, parseNumber } from '../settings.ts'
import { type Service, serve, withLogFlags } from './serve.ts'

interface NodeSettings extends LogSettings, ConnectionSettings {
  readonly name?: string
  readonly regular: boolean
  readonly address?: string
  readonly port: number
  readonly dataDir?: string
  readonly runtime?: RuntimeKind
  readonly containerRuntimeEndpoint?: string
}

export function addNodeCommand(program: Command, environment: Environment): void {
  const command = withConnectionFlags(program.command('node'))
    .description('run a virtual node: a kubelet over containerd or over the simulated runtime')
    .option('--name <name>', 'name of the node (default: virtual-kubelet-HOSTNAME)')
    .option('--regular', 'be an ordinary node: no taint, no waiting for sidecars', false)
    .option(
      '--address <address>',
      'address under which the API server reaches it (default: the first of this machine)',
    )
    .option(
      '--port <port>',
      'port of its HTTPS endpoints; 0 takes any free one',
      parseNumber('--port', 0, 65_535),
      10_250,
    )
    .option(
      '--data-dir <folder>',
      'where it keeps volumes, logs and certificates (default: ~/.outrigger-node)',
    )
    .option(
      '--runtime <kind>',
      'containerd or sim (default: what this machine can)',
      parseChoice('--runtime', ['containerd', 'sim']),
    )
    .option('--container-runtime-endpoint <socket>', 'use this CRI socket instead of a containerd of its own')
  withLogFlags(command).action((settings: NodeSettings) =>
    serve(settings, environment, (service) => begin(settings, environment, service)),
  )
}

async function begin(settings: NodeSettings, environment: Environment, service: Service): Promise<void> {
  const { clock, random, logger } = service
  const isVirtual = !settings.regular
  const name = settings.name ?? `${isVirtual ? 'virtual-kubelet-' : ''}${environment.hostName.toLowerCase()}`
  const address = settings.address ?? firstAddress()
  const directory = await openDataDirectory(
    absolutePath(environment, settings.dataDir ?? join(environment.homeDirectory, '.outrigger-node')),
    environment.processId,
  )
  service.atEnd(() => directory.release())
  const client = connect(settings, environment, { clock, logger, userAgent: 'outrigger/node' })
  service.atEnd(() => client.close())
  const runtimes = await openPodRuntimes(
    { kind: settings.runtime, endpoint: settings.containerRuntimeEndpoint },
    { ...service, environment, directory },
  )
  service.atEnd(() => runtimes.close('keep'))
  const node = createNode({
    client,
    runtime: runtimes.forNode(name),
    name,
    isVirtual,
    address,
    port: settings.port,
    serving: await servingPair(directory.pki, name, address, service),
    asksForCertificate: true,
    apiServer: findConnection(settings, environment).server,
    clientCa: await clientAuthority(client, settings, environment, service.signal),
    clock,
    random,
    logger,
  })
  await service.start(node, node.ready)
  environment.writeOut(`Node ${name} is registered.\n  runtime ${runtimes.description}\n`)
}

/** A certificate of the node's own making, to serve with until the cluster has signed one. */
async function servingPair(
  pki: string,
  name: string,
  address: string,
  { clock, logger }: Service,
): Promise<KeyPair> {
  const file = nodeServingFile(name)
  const { certificates } = await ensureCertificates(
    pki,
    [
      {
        file,
        commonName: `system:node:${name}`,
        organizations: ['system:nodes'],
        dnsNames: [name],
        ipAddresses: [address],
        usages: ['server'],
      },
    ],
    { clock, logger, authorityName: 'outrigger-node-ca' },
  )
  const pair = certificates[file]
  if (pair === undefined) throw new Error(`no certificate was made for ${name}`)
  return pair
}

/** Whose clients may call the node: what the cluster publishes for this purpose, else the authority of the kubeconfig. */
async function clientAuthority(
  client: ClusterClient,
  settings: NodeSettings,
  environment: Environment,
  signal: AbortSignal,
): Promise<string> {
  const key = { namespace: 'kube-system', name: 'extension-apiserver-authentication' }
  const published = await client
    .get<ConfigMap>(resources.configMaps, key, { signal })
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
  const authority =
    published?.data?.['client-ca-file'] ?? findConnection(settings, environment).certificateAuthority
  if (authority === undefined) {
    throw new UserError(
      'nothing says which clients may call this node',
      'use a kubeconfig with certificate-authority-data',
    )
  }
  return authority
}

function firstAddress(): string {
  for (const list of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of list ?? []) if (family === 'IPv4' && !internal) return address
  }
  return '127.0.0.1'
}
