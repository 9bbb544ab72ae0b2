import { execFile } from 'node:child_process'
import { type Clock, parseTime, UserError } from '@outrigger/foundation'
import type { ClientCertificate, ExecPlugin } from './connection-config.ts'
import { isRecord } from './status-body.ts'

/** What a plugin printed. */
export interface PluginCredential {
  readonly token?: string
  readonly clientCertificate?: ClientCertificate
  /** Milliseconds since 1970; left out: good for as long as the process lives. */
  readonly expiresAt?: number
}

const pluginTimeout = 60_000
const mostOutput = 1024 * 1024

/**
 * Runs a credential plugin without a terminal (`client.authentication.k8s.io`, v1 and v1beta1).
 *
 * @throws UserError when it is missing, fails, takes more than a minute or prints something else. What
 *   it printed is never part of the message.
 */
export async function runExecPlugin(plugin: ExecPlugin, clock: Clock): Promise<PluginCredential> {
  const info = {
    apiVersion: plugin.apiVersion,
    kind: 'ExecCredential',
    spec: { interactive: false, ...(plugin.cluster && { cluster: plugin.cluster }) },
  }
  const abort = new AbortController()
  const cancel = clock.after(pluginTimeout, () => abort.abort())
  try {
    const output = await run(plugin, JSON.stringify(info), abort.signal)
    return parseCredential(output, plugin)
  } finally {
    cancel()
  }
}

function run(plugin: ExecPlugin, info: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      plugin.command,
      [...plugin.args],
      { env: { ...plugin.environment, KUBERNETES_EXEC_INFO: info }, maxBuffer: mostOutput, signal },
      (error, stdout) => {
        if (error === null) return resolve(stdout)
        const isMissing = error.code === 'ENOENT'
        reject(
          new UserError(
            isMissing
              ? `the credential plugin ${plugin.command} is not installed`
              : `the credential plugin ${plugin.command} failed${signal.aborted ? ': it took too long' : ''}`,
            (isMissing ? plugin.installHint : undefined) ?? `run ${plugin.command} by hand to see why`,
          ),
        )
      },
    )
  })
}

function parseCredential(output: string, plugin: ExecPlugin): PluginCredential {
  const problem = (what: string) =>
    new UserError(`the credential plugin ${plugin.command} ${what}`, 'check its version and configuration')
  let parsed: unknown
  try {
    parsed = JSON.parse(output)
  } catch {
    throw problem('did not print JSON')
  }
  if (!isRecord(parsed) || parsed['kind'] !== 'ExecCredential')
    throw problem('did not print an ExecCredential')
  if (parsed['apiVersion'] !== plugin.apiVersion)
    throw problem(`answered in another version than ${plugin.apiVersion}`)
  const status = parsed['status']
  if (!isRecord(status)) throw problem('printed no status')
  const { token, clientCertificateData, clientKeyData, expirationTimestamp } = status
  const hasCertificate = typeof clientCertificateData === 'string' && typeof clientKeyData === 'string'
  if (typeof token !== 'string' && !hasCertificate) throw problem('printed neither a token nor a certificate')
  const expiresAt = typeof expirationTimestamp === 'string' ? parseTime(expirationTimestamp) : undefined
  return {
    ...(typeof token === 'string' && { token }),
    ...(hasCertificate && { clientCertificate: { certificate: clientCertificateData, key: clientKeyData } }),
    ...(expiresAt !== undefined && !Number.isNaN(expiresAt) && { expiresAt }),
  }
}
