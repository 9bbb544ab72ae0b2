import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { type Clock, type Logger, messageOf } from '@outrigger/foundation'
import type { ClientCertificate, ConnectionConfig } from './connection-config.ts'
import type { TlsMaterial } from './tls-connector.ts'

/** Files are read again after this many milliseconds. */
const fileAge = 60_000
/** The same when what was found could not be used, as in the middle of a renewal. */
const retryAge = 5_000

export interface TlsFilesOptions {
  readonly config: ConnectionConfig
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * The authority and the client certificate of a connection, read again from the files they came from:
 * kubelet, kubeadm and whoever rotates authorities renew them in place or by swapping a link. What is
 * missing, no certificate, or does not fit together does not count; the last that did stays in use.
 */
export class TlsFiles {
  readonly #options: TlsFilesOptions
  readonly #hasFiles: boolean
  #material: TlsMaterial
  #staleAt: number
  #reading: Promise<void> | undefined
  #next: Promise<void> | undefined
  #lastProblem: string | undefined

  constructor(options: TlsFilesOptions) {
    const { config, clock } = options
    this.#options = options
    const { certificateAuthority, certificateAuthorityFile, credentials } = config
    const clientCertificate = credentials?.clientCertificate
    this.#material = { certificateAuthority, clientCertificate }
    this.#hasFiles =
      certificateAuthorityFile !== undefined ||
      clientCertificate?.certificateFile !== undefined ||
      clientCertificate?.keyFile !== undefined
    this.#staleAt = clock.monotonic() + fileAge
  }

  /** The same object until something is new. */
  get material(): TlsMaterial {
    return this.#material
  }

  /** Whether it is time to `renew`. */
  get isStale(): boolean {
    return this.#hasFiles && this.#options.clock.monotonic() >= this.#staleAt
  }

  /** Reads the files, beginning after this call. Never rejects. */
  renew(): Promise<void> {
    if (!this.#hasFiles) return Promise.resolve()
    if (this.#reading !== undefined) {
      // What is being read may be from before the change somebody calls for.
      this.#next ??= this.#reading.then(() => {
        this.#next = undefined
        return this.renew()
      })
      return this.#next
    }
    this.#reading = this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<void> {
    const { config, clock, logger } = this.#options
    const last = this.#material
    const problems: string[] = []
    const noted = (error: unknown) => {
      problems.push(messageOf(error))
      return undefined
    }
    const certificateAuthority =
      (await readAuthority(config.certificateAuthorityFile).catch(noted)) ?? last.certificateAuthority
    const clientCertificate = (await readPair(last.clientCertificate).catch(noted)) ?? last.clientCertificate
    if (certificateAuthority !== last.certificateAuthority || clientCertificate !== last.clientCertificate)
      this.#material = { certificateAuthority, clientCertificate }
    const problem = problems[0]
    if (problem !== undefined && problem !== this.#lastProblem)
      logger.warn('certificates could not be read again, the last ones stay in use', { error: problem })
    this.#lastProblem = problem
    this.#staleAt = clock.monotonic() + (problem === undefined ? fileAge : retryAge)
  }
}

async function readAuthority(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  const text = await readFile(path, 'utf8')
  certificateIn(text, path)
  return text
}

/** Certificate and key may be two files, which are not renewed in the same instant. */
async function readPair(last: ClientCertificate | undefined): Promise<ClientCertificate | undefined> {
  if (last === undefined) return undefined
  const { certificateFile, keyFile } = last
  if (certificateFile === undefined && keyFile === undefined) return undefined
  const certificate =
    certificateFile === undefined ? last.certificate : await readFile(certificateFile, 'utf8')
  const key =
    keyFile === undefined
      ? last.key
      : keyFile === certificateFile
        ? certificate
        : await readFile(keyFile, 'utf8')
  if (certificate === last.certificate && key === last.key) return last
  const name = certificateFile ?? 'the client certificate'
  if (!certificateIn(certificate, name).checkPrivateKey(privateKeyIn(key, keyFile ?? 'the client key')))
    throw new Error(`the key does not belong to ${name}`)
  return { ...last, certificate, key }
}

function certificateIn(text: string, name: string): X509Certificate {
  try {
    return new X509Certificate(text)
  } catch {
    throw new Error(`${name} holds no certificate`)
  }
}

function privateKeyIn(text: string, name: string) {
  try {
    return createPrivateKey(text)
  } catch {
    // What was thrown might quote the key.
    throw new Error(`${name} holds no key`)
  }
}
