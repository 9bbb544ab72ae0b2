import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApiServer } from '@outrigger/apiserver'
import { type CertificateFolder, ensureSigningKey, type KeyPair } from '@outrigger/certificates'
import { type Client, type ConnectionConfig, createClient } from '@outrigger/client'
import { createControlPlane } from '@outrigger/control-plane'
import { type Clock, type Logger, type Random, SystemClock, SystemRandom } from '@outrigger/foundation'
import type { Command } from 'commander'
import { ensureAdminToken } from '../admin-token.ts'
import {
  ensureClusterCertificates,
  managerUser,
  nodeClientFile,
  nodeServingFile,
} from '../cluster-certificates.ts'
import { createLogger } from '../create-logger.ts'
import { type DataDirectory, openDataDirectory, removeDataDirectory } from '../data-directory.ts'
import { absolutePath, type Environment, stopSignal } from '../environment.ts'
import { writeKubeconfig } from '../kubeconfig-file.ts'
import { createManagerPart } from '../parts/manager.ts'
import { createNode } from '../parts/node.ts'
import { openPodRuntimes, type PodRuntimes, type RuntimeKind } from '../parts/pod-runtimes.ts'
import { collect, type LogSettings, parseChoice, parseFeatureGates, parseNumber } from '../settings.ts'
import { Stages } from '../stages.ts'

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
  program
    .command('up')
    .description(
      'start a whole cluster on this machine: API server, controllers, scheduler, manager, a regular and a virtual node',
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
      'where to write the kubeconfig, mode 0600 (default: kubeconfig in the data directory)',
    )
    .option(
      '--runtime <kind>',
      'containerd or sim (default: containerd where containers can be run)',
      parseChoice('--runtime', ['containerd', 'sim']),
    )
    .option('--container-runtime-endpoint <socket>', 'use this CRI socket instead of a containerd of its own')
    .option('--ephemeral', 'remove everything at the end: containers, state, certificates', false)
    .option(
      '--without <part>',
      `leave a part out (${parts.join(', ')}); repeatable`,
      collect(parseChoice('--without', parts)),
      [],
    )
    .option('--feature-gates <gates>', 'gates of the API server', parseFeatureGates, {
      SidecarSetServerlessPod: true,
    })
    .option(
      '--example-images',
      'see to it that the images of examples/ are there: pulled, or built here when no registry can be reached',
      false,
    )
    .option(
      '--logging-format <format>',
      'text or json',
      parseChoice('--logging-format', ['text', 'json']),
      'text',
    )
    .option(
      '-v, --verbosity <level>',
      'how much to log; 4 and more says why nothing happened',
      parseNumber('-v', 0, 10),
      0,
    )
    .action((settings: UpSettings) => new Up(settings, environment).run(stopSignal()))
}

class Up {
  readonly #settings: UpSettings
  readonly #environment: Environment
  readonly #clock: Clock = new SystemClock()
  readonly #random: Random = new SystemRandom()
  readonly #logger: Logger
  readonly #stages = new Stages()
  readonly #clients: Client[] = []

  constructor(settings: UpSettings, environment: Environment) {
    this.#settings = settings
    this.#environment = environment
    this.#logger = createLogger({
      clock: this.#clock,
      processId: environment.processId,
      format: settings.loggingFormat,
      verbosity: settings.verbosity,
      write: environment.writeError,
    })
  }

  /** Runs the cluster until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const directory = await openDataDirectory(await this.#dataPath())
    let runtimes: PodRuntimes | undefined
    try {
      const opening = this.#openRuntimes(directory)
      const certificates = await this.#certificates(directory)
      const url = await this.#startApiServer(directory, certificates)
      runtimes = await opening
      const kubeconfig = await this.#writeKubeconfig(directory, certificates, url)
      await this.#startParts(certificates, runtimes, url, signal)
      this.#greet(url, kubeconfig, runtimes)
      await Promise.race([
        this.#stages.failure,
        new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
      ])
    } finally {
      await this.#shutDown(directory, runtimes)
    }
  }

  async #dataPath(): Promise<string> {
    const { dataDir, ephemeral } = this.#settings
    if (dataDir !== undefined) return absolutePath(this.#environment, dataDir)
    return ephemeral
      ? mkdtemp(join(tmpdir(), 'outrigger-'))
      : join(this.#environment.homeDirectory, '.outrigger')
  }

  #openRuntimes(directory: DataDirectory): Promise<PodRuntimes> {
    const opening = openPodRuntimes(
      { kind: this.#settings.runtime, endpoint: this.#settings.containerRuntimeEndpoint },
      {
        environment: this.#environment,
        directory,
        clock: this.#clock,
        random: this.#random,
        logger: this.#logger,
      },
    )
    // Awaited later; until then a failure must not count as unhandled.
    opening.catch(() => {})
    return opening
  }

  #certificates(directory: DataDirectory): Promise<CertificateFolder> {
    return ensureClusterCertificates(
      directory,
      { hostName: this.#environment.hostName, bindAddress: this.#settings.bindAddress, nodes },
      { clock: this.#clock, logger: this.#logger },
    )
  }

  async #startApiServer(
    directory: DataDirectory,
    { authority, certificates }: CertificateFolder,
  ): Promise<string> {
    const serving = pick(certificates, 'apiserver')
    const kubeletClient = pick(certificates, 'apiserver-kubelet-client')
    const server = createApiServer({
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger.with({ part: 'apiserver' }),
      dataDirectory: directory.store,
      listen: { host: this.#settings.bindAddress, port: this.#settings.port },
      tls: {
        certificate: serving.certificate,
        key: serving.privateKey,
        clientAuthorities: authority.certificate,
      },
      tokens: [
        {
          token: await ensureAdminToken(directory.pki),
          user: { name: 'outrigger-admin', groups: ['system:masters', 'system:authenticated'] },
        },
      ],
      serviceAccountKey: await ensureSigningKey(directory.pki),
      featureGates: this.#settings.featureGates,
      kubelet: {
        certificate: kubeletClient.certificate,
        key: kubeletClient.privateKey,
        certificateAuthority: authority.certificate,
      },
    })
    const address = await this.#stages.start(server, server.ready)
    return address?.url ?? ''
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
    folder: CertificateFolder,
    runtimes: PodRuntimes,
    url: string,
    signal: AbortSignal,
  ): Promise<void> {
    if (this.#settings.exampleImages) {
      for (const line of await runtimes.prepareImages(exampleImages, signal))
        this.#environment.writeOut(`Images: ${line}\n`)
    }
    const common = { clock: this.#clock, random: this.#random }
    const starting: Promise<unknown>[] = []
    if (this.#has('manager')) {
      const manager = createManagerPart({
        ...common,
        client: this.#client(folder, 'manager', url),
        logger: this.#logger.with({ part: 'manager' }),
        userName: managerUser,
        identity: `${this.#environment.hostName}_${this.#environment.processId}`,
        leaderElection: false,
        url: {
          host: '127.0.0.1',
          port: 0,
          serving: pick(folder.certificates, 'webhook'),
          authority: folder.authority.certificate,
          serverName: 'localhost',
        },
      })
      starting.push(this.#stages.start(manager, manager.ready))
    }
    if (this.#has('control-plane')) {
      const controlPlane = createControlPlane({
        ...common,
        client: this.#client(folder, 'control-plane', url),
        logger: this.#logger.with({ part: 'control-plane' }),
        rootCa: folder.authority.certificate,
      })
      starting.push(this.#stages.start(controlPlane))
    }
    if (this.#has('nodes'))
      for (const { name, isVirtual } of nodes)
        starting.push(this.#startNode(folder, runtimes, url, name, isVirtual))
    await Promise.all(starting)
  }

  #startNode(
    folder: CertificateFolder,
    runtimes: PodRuntimes,
    url: string,
    name: string,
    isVirtual: boolean,
  ): Promise<unknown> {
    const node = createNode({
      clock: this.#clock,
      random: this.#random,
      logger: this.#logger.with({ part: name }),
      client: this.#client(folder, nodeClientFile(name), url),
      runtime: runtimes.forNode(name),
      name,
      isVirtual,
      address: '127.0.0.1',
      port: 0,
      serving: pick(folder.certificates, nodeServingFile(name)),
      clientCa: folder.authority.certificate,
      hostName: this.#environment.hostName,
      ...(isVirtual && { labels: zoneLabels }),
    })
    return this.#stages.start(node, node.ready)
  }

  #client({ authority, certificates }: CertificateFolder, file: string, server: string): Client {
    const { certificate, privateKey } = pick(certificates, file)
    const config: ConnectionConfig = {
      server,
      certificateAuthority: authority.certificate,
      credentials: { clientCertificate: { certificate, key: privateKey } },
    }
    const client = createClient({
      config,
      clock: this.#clock,
      logger: this.#logger,
      userAgent: `outrigger/${file}`,
    })
    this.#clients.push(client)
    return client
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

  async #shutDown(directory: DataDirectory, runtimes: PodRuntimes | undefined): Promise<void> {
    await this.#stages.stop()
    await Promise.all(this.#clients.map((client) => client.close()))
    await runtimes?.close(this.#settings.ephemeral ? 'remove' : 'keep')
    if (this.#settings.ephemeral) await removeDataDirectory(directory)
    else if (runtimes?.kind === 'containerd')
      this.#environment.writeOut('Containers keep running; outrigger down stops them.\n')
  }
}

function pick(certificates: Readonly<Record<string, KeyPair>>, file: string): KeyPair {
  const pair = certificates[file]
  if (pair === undefined) throw new Error(`no certificate was made for ${file}`)
  return pair
}
