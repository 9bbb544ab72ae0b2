import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CertificateFolder, readSigningRequest, signRequest } from '@outrigger/certificates'
import { type Client, type ConnectionConfig, createClient } from '@outrigger/client'
import { createControlPlane } from '@outrigger/control-plane'
import { aborted, type Runnable } from '@outrigger/foundation'
import { newestRelease, oldestRelease, type Release, resources } from '@outrigger/kube'
import { installDefinitions } from '@outrigger/operator'
import type { Command } from 'commander'
import { ensureAdminToken } from '../admin-token.ts'
import { createCertificateKeeper } from '../certificate-keeper.ts'
import {
  ensureClusterCertificates,
  managerUser,
  nodeClientFile,
  nodeServingFile,
  pairOf,
} from '../cluster-certificates.ts'
import { type DataDirectory, openDataDirectory, removeDataDirectory } from '../data-directory.ts'
import { absolutePath, type Environment, onHangUp } from '../environment.ts'
import { writeKubeconfig } from '../kubeconfig-file.ts'
import { createApiServerPart } from '../parts/api-server.ts'
import { ensureRights } from '../parts/ensure-rights.ts'
import { createManagerPart } from '../parts/manager.ts'
import { createNode } from '../parts/node.ts'
import { openPodRuntimes, type PodRuntimes, type RuntimeKind } from '../parts/pod-runtimes.ts'
import { createVolumeFolders } from '../parts/volume-folders.ts'
import {
  collect,
  type LogSettings,
  parseChoice,
  parseEmulatedVersion,
  parseFeatureGates,
  parseNumber,
} from '../settings.ts'
import { type Service, serve, withLogFlags } from './serve.ts'

const parts = ['control-plane', 'manager', 'nodes'] as const
type Part = (typeof parts)[number]

interface UpSettings extends LogSettings {
  readonly port: number
  readonly bindAddress: string
  readonly dataDir?: string
  readonly kubeconfig?: string
  readonly runtime?: RuntimeKind
  readonly containerRuntimeEndpoint?: string
  readonly ephemeral: boolean
  readonly without: readonly Part[]
  readonly featureGates: Readonly<Record<string, boolean>>
  readonly exampleImages: boolean
  readonly emulatedVersion?: Release
}

/** The nodes of the embedded cluster. */
const nodes = [
  { name: 'node-1', isVirtual: false },
  { name: 'virtual-kubelet-local-a', isVirtual: true },
] as const

const zoneLabels = { 'topology.kubernetes.io/region': 'local', 'topology.kubernetes.io/zone': 'local-a' }

/** Images of examples/, made here when no registry can be reached. */
const exampleImages = ['busybox', 'hashicorp/http-echo']

export function addUpCommand(program: Command, environment: Environment): void {
  const command = program
    .command('up')
    .description(
      'start a whole cluster on this machine: API server, controllers, scheduler, manager, two nodes',
    )
    .option(
      '--port <port>',
      'port of the API server; 0 takes any free one',
      parseNumber('--port', 0, 65_535),
      6443,
    )
    .option('--bind-address <address>', 'address the API server listens on', '127.0.0.1')
    .option('--data-dir <folder>', 'where the cluster keeps its state (default: ~/.outrigger)')
    .option(
      '--kubeconfig <file>',
      'kubeconfig to write, mode 0600 (default: kubeconfig in the data directory)',
    )
    .option(
      '--runtime <kind>',
      'containerd or sim (default: what this machine can)',
      parseChoice('--runtime', ['containerd', 'sim']),
    )
    .option('--container-runtime-endpoint <socket>', 'use this CRI socket instead of a containerd of its own')
    .option('--ephemeral', 'remove everything at the end: containers, state, certificates', false)
    .option(
      '--without <part>',
      `leave out ${parts.join(', ')}; repeatable`,
      collect(parseChoice('--without', parts)),
      [],
    )
    .option('--feature-gates <gates>', 'gates of the API server', parseFeatureGates, {
      SidecarSetServerlessPod: true,
    })
    .option(
      '--emulated-version <version>',
      `release of Kubernetes to look like, from 1.${oldestRelease} on (default: 1.${newestRelease})`,
      parseEmulatedVersion,
    )
    .option('--example-images', 'have the images of examples/: pulled, or built here when that fails', false)
  withLogFlags(command).action((settings: UpSettings) => {
    // A restart in place keeps the port and the folder that were drawn: the kubeconfig names them.
    let { port, dataDir } = settings
    return serve(settings, environment, async (service) => {
      dataDir ??= await defaultDataPath(settings, environment)
      port = await new Up({ ...settings, port, dataDir }, environment, service).begin()
    })
  })
}

async function defaultDataPath({ ephemeral }: UpSettings, environment: Environment): Promise<string> {
  return ephemeral ? mkdtemp(join(tmpdir(), 'outrigger-')) : join(environment.homeDirectory, '.outrigger')
}

class Up {
  readonly #settings: UpSettings & { readonly dataDir: string }
  readonly #environment: Environment
  readonly #service: Service
  readonly #clients = new Map<string, Client>()

  constructor(
    settings: UpSettings & { readonly dataDir: string },
    environment: Environment,
    service: Service,
  ) {
    this.#settings = settings
    this.#environment = environment
    this.#service = service
  }

  /** Starts the cluster; resolves when it is up, with the API server's port. */
  async begin(): Promise<number> {
    const directory = await openDataDirectory(
      absolutePath(this.#environment, this.#settings.dataDir),
      this.#environment.processId,
      this.#settings.ephemeral ? 'ephemeral' : 'kept',
    )
    this.#service.atEnd(() => directory.release())
    this.#service.atEnd(async () => {
      if (this.#leavesNothing) await removeDataDirectory(directory)
    })
    const opening = this.#openRuntimes(directory)
    const begun = this.#beginParts(directory, opening)
    // Nothing is cleaned up under the hands of one that still makes its files.
    this.#service.atEnd(() => begun.catch(() => {}))
    // Not waited for once it is known that there is no runtime.
    return Promise.race([begun, opening.then(() => begun)])
  }

  async #beginParts(directory: DataDirectory, opening: Promise<PodRuntimes>): Promise<number> {
    const folder = await this.#certificates(directory)
    const server = await createApiServerPart(
      { ...this.#settings, directory, folder, kubeletAuthority: folder.authority.certificate },
      this.#service,
    )
    const { url = '', port = 0 } = (await this.#service.start(server, server.ready)) ?? {}
    await this.#service.start(this.#hangUp())
    const kubeconfig = await this.#writeKubeconfig(directory, folder, url)
    await this.#prepareApi(this.#client(folder, 'control-plane', url))
    const runtimes = await opening
    await this.#startParts(directory, folder, runtimes, url)
    await this.#keepCertificates(directory)
    this.#greet(url, kubeconfig, runtimes)
    return port
  }

  /** Connections end after the parts that use them and before the API server, which would wait for them. */
  #hangUp(): Runnable {
    return {
      name: 'clients',
      run: async (signal) => {
        await aborted(signal)
        await Promise.all([...this.#clients.values()].map((client) => client.close()))
      },
    }
  }

  /** What the parts find in the API from their first request on. */
  async #prepareApi(client: Client): Promise<void> {
    const { signal, clock, logger } = this.#service
    await Promise.all([ensureRights(client, signal), installDefinitions({ client, clock, logger }, signal)])
  }

  #certificates(directory: DataDirectory): Promise<CertificateFolder> {
    const { bindAddress } = this.#settings
    return ensureClusterCertificates(
      directory,
      { hostName: this.#environment.hostName, bindAddress, nodes },
      this.#service,
    )
  }

  async #keepCertificates(directory: DataDirectory): Promise<void> {
    const keeper = createCertificateKeeper({
      renew: async () => (await this.#certificates(directory)).renewed,
      onRenewed: () => this.#service.restart(),
      onRequest: onHangUp,
      clock: this.#service.clock,
      logger: this.#service.logger,
    })
    await this.#service.start(keeper)
  }

  /** containerd takes its time, so it starts beside the API server. */
  #openRuntimes(directory: DataDirectory): Promise<PodRuntimes> {
    const { runtime: kind, containerRuntimeEndpoint: endpoint, ephemeral } = this.#settings
    const opening = openPodRuntimes(
      { kind, endpoint },
      { ...this.#service, environment: this.#environment, directory },
    )
    // It is waited for later; until then its failure must not count as nobody's.
    opening.catch(() => {})
    this.#service.atEnd(async () => {
      const runtimes = await opening.catch(() => undefined)
      await runtimes?.close(this.#leavesNothing ? 'remove' : 'keep')
      if (!ephemeral && !this.#service.isRestarting && runtimes?.kind === 'containerd')
        this.#environment.writeOut('Containers keep running; outrigger down stops them.\n')
    })
    return opening
  }

  async #writeKubeconfig(
    directory: DataDirectory,
    { authority }: CertificateFolder,
    server: string,
  ): Promise<string> {
    const { kubeconfig } = this.#settings
    const path = kubeconfig === undefined ? directory.kubeconfig : absolutePath(this.#environment, kubeconfig)
    await writeKubeconfig(path, {
      server,
      certificateAuthority: authority.certificate,
      token: await ensureAdminToken(directory.pki),
    })
    return path
  }

  async #startParts(
    directory: DataDirectory,
    folder: CertificateFolder,
    runtimes: PodRuntimes,
    url: string,
  ): Promise<void> {
    if (this.#settings.exampleImages) {
      const lines = await runtimes.prepareImages(exampleImages, this.#service.signal)
      for (const line of lines) this.#environment.writeOut(`Images: ${line}\n`)
    }
    await Promise.all([
      this.#has('manager') && this.#startManager(folder, url),
      this.#has('control-plane') && this.#startControlPlane(folder, directory, url),
      ...(this.#has('nodes') ? nodes.map((node) => this.#startNode(folder, runtimes, url, node)) : []),
    ])
  }

  #startManager(folder: CertificateFolder, url: string): Promise<unknown> {
    const manager = createManagerPart({
      ...this.#common('manager'),
      client: this.#client(folder, 'manager', url),
      userName: managerUser,
      identity: `${this.#environment.hostName}_${this.#environment.processId}`,
      leaderElection: false,
      // Here the rights are nobody else's to give.
      recreatesPods: true,
      evictsMissedPods: true,
      url: {
        host: '127.0.0.1',
        port: 0,
        serving: pairOf(folder, 'webhook'),
        authority: folder.authority.certificate,
        serverName: 'localhost',
      },
    })
    return this.#service.start(manager, manager.ready)
  }

  #startControlPlane(folder: CertificateFolder, directory: DataDirectory, url: string): Promise<unknown> {
    const client = this.#client(folder, 'control-plane', url)
    const { authority } = folder
    return this.#service.start(
      createControlPlane({
        ...this.#common('control-plane'),
        client,
        rootCa: authority.certificate,
        volumeFolders: createVolumeFolders(directory.volumes),
        kubeletSigner: {
          read: readSigningRequest,
          sign: (request, validSeconds) =>
            signRequest(authority, request, {
              usages: ['server'],
              validSeconds,
              now: this.#service.clock.now(),
            }),
        },
      }),
    )
  }

  #startNode(
    folder: CertificateFolder,
    runtimes: PodRuntimes,
    url: string,
    { name, isVirtual }: (typeof nodes)[number],
  ): Promise<unknown> {
    const node = createNode({
      ...this.#common(name),
      client: this.#client(folder, nodeClientFile(name), url),
      runtime: runtimes.forNode(name),
      name,
      isVirtual,
      address: '127.0.0.1',
      port: 0,
      serving: pairOf(folder, nodeServingFile(name)),
      apiServer: url,
      clientCa: folder.authority.certificate,
      ...(isVirtual && { labels: zoneLabels }),
    })
    return this.#service.start(node, node.ready).then(async () => {
      if (isVirtual) await this.#giveRole(folder, url, name)
    })
  }

  /** The role that `kubectl get nodes` shows; a node may not give it to itself. */
  async #giveRole(folder: CertificateFolder, url: string, name: string): Promise<void> {
    const patch = {
      type: 'merge',
      body: { metadata: { labels: { 'kubernetes.io/role': 'agent' } } },
    } as const
    await this.#client(folder, 'control-plane', url).patch(resources.nodes, { namespace: '', name }, patch)
  }

  #common(part: string) {
    const { clock, random, logger } = this.#service
    return { clock, random, logger: logger.with({ part }) }
  }

  /** The client that proves to be who the certificate in `file` names. */
  #client(folder: CertificateFolder, file: string, server: string): Client {
    const known = this.#clients.get(file)
    if (known !== undefined) return known
    const { certificate, privateKey } = pairOf(folder, file)
    const config: ConnectionConfig = {
      server,
      certificateAuthority: folder.authority.certificate,
      credentials: { clientCertificate: { certificate, key: privateKey } },
    }
    const { clock, logger } = this.#service
    const client = createClient({ config, clock, logger, userAgent: `outrigger/${file}` })
    this.#clients.set(file, client)
    return client
  }

  get #leavesNothing(): boolean {
    return this.#settings.ephemeral && !this.#service.isRestarting
  }

  #has(part: Part): boolean {
    return !this.#settings.without.includes(part)
  }

  #greet(url: string, kubeconfig: string, runtimes: PodRuntimes): void {
    const missing = this.#settings.without.length === 0 ? '' : ` without ${this.#settings.without.join(', ')}`
    this.#environment.writeOut(
      `Outrigger is up${missing}: ${url}\n` +
        `  runtime    ${runtimes.description}\n` +
        `  kubeconfig ${kubeconfig}\n` +
        `  try        kubectl --kubeconfig ${kubeconfig} get nodes\n`,
    )
  }
}
