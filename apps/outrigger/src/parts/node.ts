import { cpus, hostname, totalmem } from 'node:os'
import type { SidecarSetResourceBinding } from '@outrigger/api'
import { createSigningRequest, type KeyPair } from '@outrigger/certificates'
import type { Client } from '@outrigger/client'
import { createInformer, runAll } from '@outrigger/controller'
import type { Clock, Logger, Random, Runnable } from '@outrigger/foundation'
import { apiServerPlace, createKubelet, virtualCapacity } from '@outrigger/kubelet'
import type { PodRuntime } from '@outrigger/kubelet/runtime'
import { bindingPolicy, bindingResource } from './grants.ts'

export interface NodePartOptions {
  readonly client: Client
  readonly runtime: PodRuntime
  readonly name: string
  readonly isVirtual: boolean
  /** Address under which the API server reaches the node; it listens there. */
  readonly address: string
  /** 0 takes any free port. */
  readonly port: number
  readonly serving: KeyPair
  /** Whether the cluster is asked to sign a serving certificate, which then takes the place of `serving`. */
  readonly asksForCertificate?: boolean
  /** PEM of the authority whose clients may call the node's endpoints. */
  readonly clientCa: string
  /** URL of the API server, for the environment of containers; left out, they are told of none. */
  readonly apiServer?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** One node: a kubelet, and on a virtual node the watch of bindings that grant its sidecars their files. */
export function createNode(options: NodePartOptions): Runnable & { readonly ready: Promise<void> } {
  const { client, runtime, clock, random, logger } = options
  const bindings = createInformer<SidecarSetResourceBinding>({
    client,
    resource: bindingResource,
    clock,
    random,
    logger,
  })
  const kubelet = createKubelet({
    client,
    runtime,
    clock,
    random,
    logger,
    node: {
      name: options.name,
      isVirtual: options.isVirtual,
      capacity: options.isVirtual ? virtualCapacity : machineCapacity(),
      addresses: [
        { type: 'InternalIP', address: options.address },
        // An API server tries host names first, by default. Only this machine's own is one that can be resolved.
        ...(options.name === hostname() ? [{ type: 'Hostname', address: options.name }] : []),
      ],
      // Nothing routes cluster IPs to our containers.
      apiServer: options.apiServer === undefined ? 'none' : apiServerPlace(options.apiServer),
      ...(options.labels && { labels: options.labels }),
    },
    server: {
      host: options.address,
      port: options.port,
      tls: { certificate: options.serving.certificate, key: options.serving.privateKey },
      clientCa: options.clientCa,
    },
    ...(options.asksForCertificate && { servingCertificate: { makeRequest: createSigningRequest } }),
    ...(options.isVirtual && { referencePolicy: bindingPolicy(bindings) }),
  })
  return {
    name: `node ${options.name}`,
    ready: kubelet.ready,
    run: (signal) => runAll(options.isVirtual ? [bindings, kubelet] : [kubelet], signal),
  }
}

function machineCapacity(): Readonly<Record<string, string>> {
  return {
    cpu: String(cpus().length),
    memory: `${Math.floor(totalmem() / 1024)}Ki`,
    'ephemeral-storage': '100Gi',
    pods: '110',
  }
}
