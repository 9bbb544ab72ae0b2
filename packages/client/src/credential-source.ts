import { readFile } from 'node:fs/promises'
import { type Clock, type Logger, messageOf } from '@outrigger/foundation'
import { ConnectionError } from './api-error.ts'
import type { ClientCertificate, ConnectionConfig } from './connection-config.ts'
import { type PluginCredential, runExecPlugin } from './exec-plugin.ts'
import type { OutgoingHeaders } from './transport.ts'

/** A token file is read again after this many milliseconds, as client-go does. */
const tokenFileAge = 60_000
/** A plugin's credential is renewed this long before it expires. */
const expiryMargin = 10_000

export interface CredentialSourceOptions {
  readonly config: ConnectionConfig
  readonly clock: Clock
  readonly logger: Logger
  /** Called when new connections must present another certificate. */
  readonly onNewCertificate: () => void
}

/** Who we are, as headers and a certificate, renewed as it expires. */
export class CredentialSource {
  readonly #options: CredentialSourceOptions
  readonly #fixed: OutgoingHeaders
  #fromFile: { readonly token: string; readonly readAt: number } | undefined
  #fromPlugin: PluginCredential | undefined
  #running: Promise<void> | undefined

  constructor(options: CredentialSourceOptions) {
    this.#options = options
    this.#fixed = impersonation(options.config)
  }

  /** The certificate to present; a plugin's once `headers` has run it. */
  get clientCertificate(): ClientCertificate | undefined {
    return this.#options.config.credentials?.clientCertificate ?? this.#fromPlugin?.clientCertificate
  }

  /** The headers that name us. @throws UserError when a plugin fails, ConnectionError when the token file cannot be read. */
  async headers(): Promise<OutgoingHeaders> {
    const credentials = this.#options.config.credentials
    if (credentials === undefined) return this.#fixed
    if (credentials.basic !== undefined) {
      const { username, password } = credentials.basic
      const encoded = Buffer.from(`${username}:${password}`).toString('base64')
      return { ...this.#fixed, authorization: `Basic ${encoded}` }
    }
    const token = await this.#token()
    return token === undefined ? this.#fixed : { ...this.#fixed, authorization: `Bearer ${token}` }
  }

  /** The server did not accept us. Returns whether asking again can make a difference. */
  reject(): boolean {
    const credentials = this.#options.config.credentials
    this.#fromFile = undefined
    this.#fromPlugin = undefined
    return credentials?.tokenFile !== undefined || credentials?.exec !== undefined
  }

  async #token(): Promise<string | undefined> {
    const credentials = this.#options.config.credentials
    if (credentials?.tokenFile !== undefined) return this.#readTokenFile(credentials.tokenFile)
    if (credentials?.token !== undefined) return credentials.token
    if (credentials?.exec === undefined) return undefined
    const expiry = this.#fromPlugin?.expiresAt ?? Number.POSITIVE_INFINITY
    if (this.#fromPlugin === undefined || expiry - expiryMargin <= this.#options.clock.now()) {
      this.#running ??= this.#runPlugin().finally(() => {
        this.#running = undefined
      })
      await this.#running
    }
    return this.#fromPlugin?.token
  }

  async #readTokenFile(path: string): Promise<string> {
    const now = this.#options.clock.monotonic()
    if (this.#fromFile !== undefined && now - this.#fromFile.readAt < tokenFileAge)
      return this.#fromFile.token
    try {
      const token = (await readFile(path, 'utf8')).trim()
      if (token === '') throw new Error(`the token file ${path} is empty`)
      this.#fromFile = { token, readAt: now }
      return token
    } catch (error) {
      // While a file is being replaced, the last token is still good.
      if (this.#fromFile === undefined)
        throw new ConnectionError(`the token cannot be read: ${messageOf(error)}`, {
          cause: error,
          phase: 'final',
        })
      this.#options.logger.warn('token file could not be read, using the last token', {
        path,
        error: messageOf(error),
      })
      return this.#fromFile.token
    }
  }

  async #runPlugin(): Promise<void> {
    const plugin = this.#options.config.credentials?.exec
    if (plugin === undefined) return
    const before = this.#fromPlugin?.clientCertificate
    this.#fromPlugin = await runExecPlugin(plugin, this.#options.clock)
    const after = this.#fromPlugin.clientCertificate
    if (after !== undefined && after.certificate !== before?.certificate) this.#options.onNewCertificate()
  }
}

function impersonation(config: ConnectionConfig): OutgoingHeaders {
  const impersonate = config.credentials?.impersonate
  if (impersonate === undefined) return {}
  return {
    'impersonate-user': impersonate.user,
    ...(impersonate.groups && { 'impersonate-group': [...impersonate.groups] }),
    ...(impersonate.uid !== undefined && { 'impersonate-uid': impersonate.uid }),
  }
}
