import { readCertificate } from '@outrigger/certificates'
import { ApiError, type Client, isNotFound } from '@outrigger/client'
import { type Clock, type Logger, messageOf, type Random, type Runnable } from '@outrigger/foundation'
import type { CertificateSigningRequest, NodeAddress, ResourceRef } from '@outrigger/kube'

/** What a node asks to be certified. */
export interface ServingNames {
  readonly commonName: string
  readonly organizations: readonly string[]
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
}

/** A new private key, and the certificate signing request made with it; both PEM. */
export interface KeyAndRequest {
  readonly privateKey: string
  readonly request: string
}

/** How a node comes by a serving certificate that the cluster's authority signed. */
export interface ServingCertificateOptions {
  /** Makes a new key and a request for it. */
  readonly makeRequest: (names: ServingNames) => Promise<KeyAndRequest>
  /** Milliseconds after which the log says that nobody signs. Defaults to 30,000. */
  readonly deadline?: number
  /** Milliseconds one request is waited for before a new one is made. Defaults to 15 minutes, as a kubelet's. */
  readonly patience?: number
}

export interface ServingCertificateDeps extends ServingCertificateOptions {
  readonly client: Client
  readonly nodeName: string
  readonly addresses: readonly NodeAddress[]
  /** Takes the certificate into use; connections that are open go on. */
  readonly use: (pair: { readonly certificate: string; readonly key: string }) => void
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

const signingRequests: ResourceRef = {
  group: 'certificates.k8s.io',
  version: 'v1',
  resource: 'certificatesigningrequests',
  kind: 'CertificateSigningRequest',
  namespaced: false,
}

const hour = 60 * 60_000

/**
 * Asks the cluster for a serving certificate and for the next one before it ends. Until the first is there the
 * node serves with what it began with. Never fails: where nobody signs, it says so once and keeps asking.
 * Source: kubernetes/pkg/kubelet/certificate, which renews with 10 to 30 % of the life left.
 */
export class ServingCertificate implements Runnable {
  readonly name = 'serving certificate'
  readonly #options: ServingCertificateDeps
  #hasWarned = false

  constructor(options: ServingCertificateDeps) {
    this.#options = options
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#options
    let pause = 1_000
    while (!signal.aborted) {
      try {
        const renewIn = await this.#obtain(signal)
        pause = renewIn === undefined ? Math.min(pause * 2, hour) : 1_000
        await this.#sleep(renewIn ?? pause, signal)
      } catch (error) {
        if (signal.aborted) return
        // A cluster that refuses requests will refuse the next one too.
        pause = error instanceof ApiError && error.code < 500 ? hour : Math.min(pause * 2, hour)
        if (error instanceof ApiError) this.#warn(messageOf(error))
        else logger.warn('serving certificate could not be asked for yet', { error: messageOf(error) })
        await clock.sleep(pause * (1 + 0.1 * random.next()), signal).catch(() => {})
      }
    }
  }

  /** Milliseconds until the certificate wants renewing; undefined when none was signed. */
  async #obtain(signal: AbortSignal): Promise<number | undefined> {
    const { client, makeRequest, clock, random, logger, use } = this.#options
    const names = this.#names()
    if (names.dnsNames.length + names.ipAddresses.length === 0) {
      this.#warn('the node has no address')
      return hour
    }
    const { privateKey, request } = await makeRequest(names)
    const created = await client.create<CertificateSigningRequest>(
      signingRequests,
      {
        apiVersion: 'certificates.k8s.io/v1',
        kind: 'CertificateSigningRequest',
        metadata: { generateName: 'csr-' },
        spec: {
          request: Buffer.from(request).toString('base64'),
          signerName: 'kubernetes.io/kubelet-serving',
          usages: ['digital signature', 'server auth'],
        },
      },
      { signal },
    )
    const certificate = await this.#wait(created.metadata.name, signal)
    if (certificate === undefined) return undefined
    use({ certificate, key: privateKey })
    this.#hasWarned = false
    const { notBefore, notAfter } = readCertificate(certificate)
    logger.info('the cluster signed our serving certificate', { request: created.metadata.name })
    const life = notAfter - notBefore
    return Math.max(60_000, notBefore + life * (0.7 + 0.2 * random.next()) - clock.now())
  }

  /** Waits for an answer; undefined when there was none in time, or a refusal. */
  async #wait(name: string, signal: AbortSignal): Promise<string | undefined> {
    const { client, clock, random, deadline = 30_000, patience = 15 * 60_000 } = this.#options
    const begin = clock.now()
    for (let pause = 100; ; pause = Math.min(pause * 1.5, 10_000)) {
      await clock.sleep(pause * (1 + 0.1 * random.next()), signal)
      const request = await client
        .get<CertificateSigningRequest>(signingRequests, { namespace: '', name }, { signal })
        .catch((error: unknown) => {
          if (isNotFound(error)) return undefined
          if (error instanceof ApiError && error.code < 500 && error.code !== 429) throw error
          return null
        })
      if (request === undefined) return undefined
      const { certificate, conditions = [] } = request?.status ?? {}
      if (certificate !== undefined) return Buffer.from(certificate, 'base64').toString()
      const refusal = conditions.find(({ type }) => type === 'Denied' || type === 'Failed')
      if (refusal !== undefined) {
        this.#warn(`request ${name}: ${refusal.type}: ${refusal.message ?? ''}`)
        return undefined
      }
      const waited = clock.now() - begin
      if (waited >= deadline) this.#warn(`nobody has signed request ${name} yet`)
      if (waited >= patience) return undefined
    }
  }

  /** In steps: a timer counts no more than 24 days, and clocks of machines that slept are read again. */
  async #sleep(time: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options
    const end = clock.now() + time
    for (let left = time; left > 0; left = end - clock.now()) await clock.sleep(Math.min(left, hour), signal)
  }

  #names(): ServingNames {
    const { nodeName, addresses } = this.#options
    const of = (isWanted: (type: string) => boolean) => [
      ...new Set(addresses.filter(({ type }) => isWanted(type)).map(({ address }) => address)),
    ]
    const isIp = (type: string) => type === 'InternalIP' || type === 'ExternalIP'
    return {
      commonName: `system:node:${nodeName}`,
      organizations: ['system:nodes'],
      dnsNames: of((type) => !isIp(type)),
      ipAddresses: of(isIp),
    }
  }

  #warn(why: string): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#options.logger.warn(
      'serving with a certificate of our own making: an API server that checks kubelets gets no logs and no exec',
      { why },
    )
  }
}
