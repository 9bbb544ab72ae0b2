import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import { ManifestError, parseYaml } from '@outrigger/kube'
import type {
  ClientCertificate,
  ConnectionConfig,
  Credentials,
  ExecPlugin,
  Impersonation,
} from './connection-config.ts'
import { environmentProxy, proxySetting } from './proxy-setting.ts'
import { isRecord } from './status-body.ts'

export interface KubeconfigOptions {
  /** A file to read instead of those that `environment` names. */
  readonly path?: string
  /** Defaults to the file's current context. */
  readonly context?: string
  /**
   * `KUBECONFIG` and `HOME` are read from it, and `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` for clusters
   * without a `proxy-url`; credential plugins inherit it.
   */
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** A named entry of a kubeconfig and the folder its relative paths start from. */
interface Entry {
  readonly name: string
  readonly folder: string
  readonly value: Readonly<Record<string, unknown>>
}

interface Merged {
  readonly clusters: Map<string, Entry>
  readonly users: Map<string, Entry>
  readonly contexts: Map<string, Entry>
  currentContext: string | undefined
}

/**
 * The connection a kubeconfig describes, by the rules of kubectl: of several files (`KUBECONFIG`, a
 * list) the first that names an entry defines it, and relative paths start at the file they stand in.
 *
 * @throws UserError that says which file, context or field is at fault and what to do about it.
 */
export function loadKubeconfig(options: KubeconfigOptions): ConnectionConfig {
  const paths = kubeconfigPaths(options)
  const merged = mergeFiles(paths)
  const contextName = options.context ?? merged.currentContext
  if (contextName === undefined)
    throw new UserError(`${paths.join(', ')} has no current context`, 'name one with --context')
  const context = find(merged.contexts, 'context', contextName)
  const clusterName = textField(context, 'cluster')
  if (clusterName === undefined)
    throw new UserError(`context ${contextName} names no cluster`, 'add a cluster to it')
  const cluster = find(merged.clusters, 'cluster', clusterName)
  const userName = textField(context, 'user')
  const user = userName === undefined ? undefined : find(merged.users, 'user', userName)
  const namespace = textField(context, 'namespace')
  return {
    ...connectionOf(cluster, options.environment),
    ...(namespace !== undefined && { namespace }),
    ...(user && { credentials: credentialsOf(user, cluster, options.environment) }),
  }
}

/** The files a kubeconfig is read from, in order. */
export function kubeconfigPaths(options: Pick<KubeconfigOptions, 'path' | 'environment'>): readonly string[] {
  if (options.path !== undefined) return [options.path]
  const listed = (options.environment['KUBECONFIG'] ?? '').split(':').filter((path) => path !== '')
  if (listed.length > 0) return listed
  const home = options.environment['HOME']
  if (!home)
    throw new UserError('no kubeconfig was named and HOME is not set', 'set KUBECONFIG or use --kubeconfig')
  return [join(home, '.kube', 'config')]
}

function mergeFiles(paths: readonly string[]): Merged {
  const merged: Merged = {
    clusters: new Map(),
    users: new Map(),
    contexts: new Map(),
    currentContext: undefined,
  }
  let found = 0
  for (const path of paths) {
    const text = readIfExists(path)
    if (text === undefined) continue
    found++
    mergeFile(merged, path, parseFile(path, text))
  }
  if (found === 0)
    throw new UserError(
      `there is no kubeconfig at ${paths.join(', ')}`,
      'set KUBECONFIG, use --kubeconfig, or start a cluster with `outrigger up`',
    )
  return merged
}

function readIfExists(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new UserError(`cannot read ${path}: ${messageOf(error)}`, 'check its permissions', { cause: error })
  }
}

function parseFile(path: string, text: string): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = parseYaml(text)
  } catch (error) {
    // A parser's message may quote the line, and with it a secret.
    const where = error instanceof ManifestError ? ` (line ${error.line}, column ${error.column})` : ''
    throw new UserError(`${path} is not YAML${where}`, 'check the file', { cause: error })
  }
  // kubectl takes an empty file for an empty configuration.
  if (parsed === null || parsed === undefined) return {}
  if (!isRecord(parsed)) throw new UserError(`${path} is not a kubeconfig`, 'check the file')
  return parsed
}

function mergeFile(merged: Merged, path: string, file: Record<string, unknown>): void {
  const folder = dirname(resolve(path))
  for (const [list, field] of [
    ['clusters', 'cluster'],
    ['users', 'user'],
    ['contexts', 'context'],
  ] as const) {
    const entries = file[list] ?? []
    if (!Array.isArray(entries)) throw new UserError(`${path}: ${list} is not a list`, 'check the file')
    for (const entry of entries as readonly unknown[]) {
      if (!isRecord(entry) || typeof entry['name'] !== 'string') continue
      const value = entry[field]
      if (merged[list].has(entry['name'])) continue
      merged[list].set(entry['name'], { name: entry['name'], folder, value: isRecord(value) ? value : {} })
    }
  }
  const current = file['current-context']
  if (typeof current === 'string' && current !== '') merged.currentContext ??= current
}

function find(entries: ReadonlyMap<string, Entry>, what: string, name: string): Entry {
  const entry = entries.get(name)
  if (entry !== undefined) return entry
  const known = [...entries.keys()].sort().join(', ')
  throw new UserError(
    `the kubeconfig has no ${what} called ${name}`,
    known === '' ? `add the ${what}` : `use one of: ${known}`,
  )
}

function connectionOf(
  cluster: Entry,
  environment: Readonly<Record<string, string | undefined>>,
): ConnectionConfig {
  const server = textField(cluster, 'server')
  if (server === undefined || !/^https?:\/\//.test(server) || !URL.canParse(server))
    throw new UserError(
      `cluster ${cluster.name} has no usable server address`,
      'give it as https://host:port',
    )
  const proxyUrl = textField(cluster, 'proxy-url')
  const proxy =
    proxyUrl === undefined
      ? environmentProxy(server, environment)
      : proxySetting(proxyUrl, `proxy-url of cluster ${cluster.name}`)
  const authority = dataOrFile(cluster, 'certificate-authority')
  const serverName = textField(cluster, 'tls-server-name')
  return {
    server,
    ...(proxy && { proxy }),
    ...(authority && { certificateAuthority: authority.text }),
    ...(authority?.path !== undefined && { certificateAuthorityFile: authority.path }),
    ...(serverName !== undefined && { serverName }),
    ...(cluster.value['insecure-skip-tls-verify'] === true && { acceptsAnyServer: true }),
  }
}

function credentialsOf(
  user: Entry,
  cluster: Entry,
  environment: Readonly<Record<string, string | undefined>>,
): Credentials {
  if (isRecord(user.value['auth-provider']))
    throw new UserError(
      `user ${user.name} logs in by an auth-provider, which kubectl has given up as well`,
      'use a credential plugin (exec)',
    )
  const clientCertificate = certificateOf(user)
  const tokenFile = textField(user, 'tokenFile')
  const token = textField(user, 'token')
  const username = textField(user, 'username')
  const impersonate = impersonationOf(user)
  const exec = user.value['exec']
  return {
    ...(clientCertificate && { clientCertificate }),
    ...(tokenFile !== undefined && { tokenFile: pathFrom(user.folder, tokenFile) }),
    ...(token !== undefined && { token }),
    ...(username !== undefined && { basic: { username, password: textField(user, 'password') ?? '' } }),
    ...(isRecord(exec) && { exec: execOf(user, exec, cluster, environment) }),
    ...(impersonate && { impersonate }),
  }
}

function certificateOf(user: Entry): ClientCertificate | undefined {
  const certificate = dataOrFile(user, 'client-certificate')
  const key = dataOrFile(user, 'client-key')
  if ((certificate === undefined) !== (key === undefined))
    throw new UserError(
      `user ${user.name} has a client certificate or a key, but not both`,
      'add what is missing',
    )
  if (certificate === undefined || key === undefined) return undefined
  return {
    certificate: certificate.text,
    key: key.text,
    ...(certificate.path !== undefined && { certificateFile: certificate.path }),
    ...(key.path !== undefined && { keyFile: key.path }),
  }
}

function impersonationOf(user: Entry): Impersonation | undefined {
  const name = textField(user, 'as')
  const uid = textField(user, 'as-uid')
  const groups = user.value['as-groups']
  const extra = user.value['as-user-extra']
  if (name === undefined) {
    if (uid === undefined && groups === undefined && extra === undefined) return undefined
    throw new UserError(`user ${user.name} impersonates nobody, but with groups, uid or extra`, 'add as')
  }
  return {
    user: name,
    ...(uid !== undefined && { uid }),
    ...(Array.isArray(groups) && { groups: texts(groups) }),
    ...(isRecord(extra) && {
      extra: Object.fromEntries(
        Object.entries(extra).map(([key, values]) => [key, Array.isArray(values) ? texts(values) : []]),
      ),
    }),
  }
}

function texts(list: readonly unknown[]): string[] {
  return list.filter((one) => typeof one === 'string')
}

function execOf(
  user: Entry,
  exec: Record<string, unknown>,
  cluster: Entry,
  environment: Readonly<Record<string, string | undefined>>,
): ExecPlugin {
  const entry = { ...user, value: exec }
  const apiVersion = textField(entry, 'apiVersion') ?? ''
  if (!/^client\.authentication\.k8s\.io\/v1(beta1)?$/.test(apiVersion))
    throw new UserError(
      `user ${user.name} has a credential plugin of version ${JSON.stringify(apiVersion)}`,
      'use client.authentication.k8s.io/v1',
    )
  const command = textField(entry, 'command')
  if (command === undefined)
    throw new UserError(`user ${user.name} has a credential plugin without a command`, 'add the command')
  if (exec['interactiveMode'] === 'Always')
    throw new UserError(
      `user ${user.name} has a credential plugin that must be able to ask questions (interactiveMode: Always)`,
      'use one that works without a terminal, or a token',
    )
  const args = Array.isArray(exec['args']) ? texts(exec['args']) : []
  const installHint = textField(entry, 'installHint')
  return {
    apiVersion,
    // Only what looks like a path is one: a bare name is searched for in PATH.
    command: command.includes('/') ? pathFrom(user.folder, command) : command,
    args,
    environment: { ...definedIn(environment), ...extraEnvironment(exec['env']) },
    ...(installHint !== undefined && { installHint }),
    ...(exec['provideClusterInfo'] === true && { cluster: clusterInfo(cluster) }),
  }
}

function clusterInfo(cluster: Entry): Record<string, unknown> {
  const authority = dataOrFile(cluster, 'certificate-authority')
  return {
    server: textField(cluster, 'server'),
    'tls-server-name': textField(cluster, 'tls-server-name'),
    'insecure-skip-tls-verify': cluster.value['insecure-skip-tls-verify'] === true || undefined,
    'proxy-url': textField(cluster, 'proxy-url'),
    config: pluginConfig(cluster),
    ...(authority !== undefined && {
      'certificate-authority-data': Buffer.from(authority.text).toString('base64'),
    }),
  }
}

/** What a cluster's entry says to plugins alone. */
function pluginConfig(cluster: Entry): unknown {
  const extensions = cluster.value['extensions']
  const found: unknown = (Array.isArray(extensions) ? (extensions as readonly unknown[]) : []).find(
    (one) => isRecord(one) && one['name'] === 'client.authentication.k8s.io/exec',
  )
  return isRecord(found) ? found['extension'] : undefined
}

function extraEnvironment(env: unknown): Record<string, string> {
  const extra: Record<string, string> = {}
  for (const one of Array.isArray(env) ? (env as readonly unknown[]) : [])
    if (isRecord(one) && typeof one['name'] === 'string' && typeof one['value'] === 'string')
      extra[one['name']] = one['value']
  return extra
}

function definedIn(environment: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const defined: Record<string, string> = {}
  for (const [name, value] of Object.entries(environment)) if (value !== undefined) defined[name] = value
  return defined
}

/** A text that is there and not empty, which kubectl takes for the same. */
function textField(entry: Pick<Entry, 'value'>, field: string): string | undefined {
  const value = entry.value[field]
  return typeof value === 'string' && value !== '' ? value : undefined
}

/** `<field>-data` in base64, which wins, or the content of the file that `<field>` names, and its path. */
function dataOrFile(
  entry: Entry,
  field: string,
): { readonly text: string; readonly path?: string } | undefined {
  const data = textField(entry, `${field}-data`)
  if (data !== undefined) {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(data.replace(/\s/g, '')))
      throw new UserError(`${entry.name}: ${field}-data is not base64`, 'check the kubeconfig')
    return { text: Buffer.from(data, 'base64').toString('utf8') }
  }
  const named = textField(entry, field)
  if (named === undefined) return undefined
  const path = pathFrom(entry.folder, named)
  const text = readIfExists(path)
  if (text === undefined)
    throw new UserError(`${entry.name} names ${path} as ${field}, which does not exist`, 'restore the file')
  return { text, path }
}

function pathFrom(folder: string, path: string): string {
  return isAbsolute(path) ? path : join(folder, path)
}
