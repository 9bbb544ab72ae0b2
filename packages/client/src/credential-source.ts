import { readFile } from 'node:fs/promises'
import { type Clock, type Logger, messageOf } from '@outrigger/foundation'
import { ConnectionError } from './api-error.ts'
import type { ConnectionConfig } from './connection-config.ts'
import { type PluginCredential, runExecPlugin } from './exec-plugin.ts'
import { impersonation } from './impersonation.ts'
import type { TlsMaterial } from './tls-connector.ts'
import { TlsFiles } from './tls-files.ts'
import type { OutgoingHeaders } from './transport.ts'

/** A token file is read again after this many milliseconds, as client-go does. */
const tokenFileAge = 60_000
/** A plugin's credential is renewed this long before it expires. */
const expiryMargin = 10_000

export interface CredentialSourceOptions {
  readonly config: ConnectionConfig
  readonly clock: Clock
  readonly logger: Logger
  /** Called when new connections must present another certificate or trust another authority. */
  readonly onNewCertificate: () => void
}

/** Who one request says we are. */
export interface Identity {
  readonly headers: OutgoingHeaders
  /** Another number after each renewal, of whatever it was. */
  readonly version: number
  /** The plugin's answer this rests on. */
  readonly plugin: PluginCredential | undefined
}

/** Who we are, as headers and a certificate, and whom we trust; renewed as it changes or expires. */
export class CredentialSource {
  readonly #options: CredentialSourceOptions
  readonly #fixed: OutgoingHeaders
  readonly #files: TlsFiles
  #lastMaterial: TlsMaterial
  #version = 0
  #readings = 0
  #lastReading = 0
  #fromFile: { readonly token: string; readonly readAt: number } | undefined
  #fromPlugin: PluginCredential | undefined
  #isPluginRejected = false
  #running: Promise<void> | undefined
  #last: { readonly authorization: string | undefined; readonly identity: Identity } | undefined

  constructor(options: CredentialSourceOptions) {
    this.#options = options
    this.#fixed = impersonation(options.config)
    this.#files = new TlsFiles(options)
    this.#lastMaterial = this.#files.material
  }

  /** What the next connection is made with; a plugin's certificate once `identity` has run it. */
  get material(): TlsMaterial {
    const { certificateAuthority, clientCertificate } = this.#files.material
    return {
      certificateAuthority,
      clientCertificate: clientCertificate ?? this.#fromPlugin?.clientCertificate,
    }
  }

  /** Reads certificates again from their files. */
  async renew(): Promise<void> {
    await this.#files.renew()
    if (this.#files.material === this.#lastMaterial) return
    this.#lastMaterial = this.#files.material
    this.#version++
    this.#options.onNewCertificate()
  }

  /** Who the next request says we are, where nothing need be read or run for it: all but always. */
  get fresh(): Identity | undefined {
    if (this.#files.isStale) return undefined
    const credentials = this.#options.config.credentials
    if (credentials === undefined) return this.#as(undefined)
    if (credentials.basic !== undefined) {
      const { username, password } = credentials.basic
      return this.#as(`Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`)
    }
    if (credentials.tokenFile !== undefined) {
      const isFresh =
        this.#fromFile !== undefined && this.#options.clock.monotonic() - this.#fromFile.readAt < tokenFileAge
      return isFresh ? this.#as(bearer(this.#fromFile?.token)) : undefined
    }
    if (credentials.token !== undefined || credentials.exec === undefined)
      return this.#as(bearer(credentials.token))
    if (this.#isPluginRejected || this.#expiresWithin(expiryMargin)) return undefined
    return this.#as(bearer(this.#fromPlugin?.token))
  }

  /** Who the next request says we are. @throws UserError when a plugin fails, ConnectionError when the token file cannot be read. */
  async identity(): Promise<Identity> {
    if (this.#files.isStale) await this.renew()
    const fresh = this.fresh
    if (fresh !== undefined) return fresh
    const tokenFile = this.#options.config.credentials?.tokenFile
    if (tokenFile !== undefined) return this.#as(bearer(await this.#readTokenFile(tokenFile)))
    this.#running ??= this.#runPlugin().finally(() => {
      this.#running = undefined
    })
    await this.#running
    return this.#as(bearer(this.#fromPlugin?.token))
  }

  /**
   * The server did not accept us (401). Resolves with whether asking again can make a difference: because
   * something was renewed meanwhile, or will be by the next `identity`.
   */
  async reject(used: Identity): Promise<boolean> {
    const credentials = this.#options.config.credentials
    // Whatever was renewed, the rest may have been too: all of it is looked at.
    await this.renew()
    if (credentials?.tokenFile !== undefined) await this.#readTokenFile(credentials.tokenFile)
    const isPlugins = credentials?.exec !== undefined && used.plugin !== undefined
    if (isPlugins && used.plugin === this.#fromPlugin) this.#isPluginRejected = true
    return isPlugins || used.version !== this.#version
  }

  /** The same object again and again while nothing changes. */
  #as(authorization: string | undefined): Identity {
    const last = this.#last
    if (last !== undefined && last.authorization === authorization && last.identity.version === this.#version)
      return last.identity
    const headers = authorization === undefined ? this.#fixed : { ...this.#fixed, authorization }
    const identity = { headers, version: this.#version, plugin: this.#fromPlugin }
    this.#last = { authorization, identity }
    return identity
  }

  async #readTokenFile(path: string): Promise<string> {
    const now = this.#options.clock.monotonic()
    const number = ++this.#readings
    try {
      const token = (await readFile(path, 'utf8')).trim()
      if (token === '') throw new Error(`the token file ${path} is empty`)
      // A reading that began before another must not undo what that one found.
      if (this.#fromFile !== undefined && number < this.#lastReading) return this.#fromFile.token
      this.#lastReading = number
      if (this.#fromFile !== undefined && this.#fromFile.token !== token) this.#version++
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
      this.#fromFile = { token: this.#fromFile.token, readAt: now }
      return this.#fromFile.token
    }
  }

  /** Whether the plugin's credential is over `margin` milliseconds from now; also when there is none. */
  #expiresWithin(margin: number): boolean {
    if (this.#fromPlugin === undefined) return true
    return (this.#fromPlugin.expiresAt ?? Number.POSITIVE_INFINITY) - margin <= this.#options.clock.now()
  }

  async #runPlugin(): Promise<void> {
    const plugin = this.#options.config.credentials?.exec
    if (plugin === undefined) return
    const before = this.#fromPlugin
    try {
      this.#fromPlugin = await runExecPlugin(plugin, this.#options.clock)
    } catch (error) {
      // What has not expired and was not refused is good until it has.
      if (this.#isPluginRejected || this.#expiresWithin(0)) throw error
      this.#options.logger.warn('credential plugin failed, using its last answer', {
        error: messageOf(error),
      })
      return
    }
    this.#isPluginRejected = false
    this.#version++
    const after = this.#fromPlugin.clientCertificate
    if (after !== undefined && after.certificate !== before?.clientCertificate?.certificate)
      this.#options.onNewCertificate()
  }
}

function bearer(token: string | undefined): string | undefined {
  return token === undefined ? undefined : `Bearer ${token}`
}
