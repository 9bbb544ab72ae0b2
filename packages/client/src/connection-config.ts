import type { ProxySetting } from './proxy-setting.ts'

/** How to reach one API server, and as whom. Holds secrets: never log it. */
export interface ConnectionConfig {
  /** `https://host:port`, with a path prefix where the server has one. `http://` is spoken without TLS. */
  readonly server: string
  /** PEM certificates that vouch for the server. Left out: those the machine trusts. */
  readonly certificateAuthority?: string
  /**
   * Where `certificateAuthority` was read from. It is read again every minute and when a server is not
   * trusted.
   */
  readonly certificateAuthorityFile?: string
  /** The name the server's certificate must carry. Defaults to the host of `server`. */
  readonly serverName?: string
  /** Accepts any server. For a debugging session, never for a cluster that matters. */
  readonly acceptsAnyServer?: boolean
  /** Left out: connected to directly, whatever the environment says. */
  readonly proxy?: ProxySetting
  /** Namespace for objects that name none. Defaults to `default`. */
  readonly namespace?: string
  readonly credentials?: Credentials
}

/** Any of these may be given together; of several tokens the file's wins, then the fixed one, then the plugin's. */
export interface Credentials {
  readonly clientCertificate?: ClientCertificate
  readonly token?: string
  /** A file whose content is the token and may change: it is read again every minute and after a 401. */
  readonly tokenFile?: string
  readonly basic?: { readonly username: string; readonly password: string }
  readonly exec?: ExecPlugin
  readonly impersonate?: Impersonation
}

/** Whom the server is asked to take us for. */
export interface Impersonation {
  readonly user: string
  readonly groups?: readonly string[]
  readonly uid?: string
  readonly extra?: Readonly<Record<string, readonly string[]>>
}

/** PEM. */
export interface ClientCertificate {
  readonly certificate: string
  readonly key: string
  /** Where they were read from; may be one file. They are read again every minute and after a 401. */
  readonly certificateFile?: string
  readonly keyFile?: string
}

/** A program that prints credentials (`client.authentication.k8s.io`). */
export interface ExecPlugin {
  readonly apiVersion: string
  readonly command: string
  readonly args: readonly string[]
  /** The whole environment the program sees. */
  readonly environment: Readonly<Record<string, string>>
  /** Shown when the program is missing. */
  readonly installHint?: string
  /** Told to the program where it wants to know the cluster. */
  readonly cluster?: Readonly<Record<string, unknown>>
}
