import { ApiError, type ClusterClient, ConnectionError } from '@outrigger/client'
import { type Clock, SystemClock, silentLogger, UserError } from '@outrigger/foundation'
import { defaultNames } from '@outrigger/operator'
import { type ConnectionSettings, connect } from '../connection.ts'
import type { Environment } from '../environment.ts'

/** One conversation of a command with a cluster. */
export interface ClusterSession {
  readonly client: ClusterClient
  readonly clock: Clock
}

/**
 * Runs a command that asks a cluster something, and ends the connection however it ends.
 *
 * @throws UserError for everything the API server refuses, and when there is none to be reached.
 */
export async function withCluster(
  settings: ConnectionSettings,
  environment: Environment,
  work: (session: ClusterSession) => Promise<void>,
): Promise<void> {
  const clock = new SystemClock()
  let client: ClusterClient | undefined
  try {
    client = connect(settings, environment, { clock, logger: silentLogger, userAgent: 'outrigger/cli' })
    await work({ client, clock })
  } catch (error) {
    throw inUserWords(error)
  } finally {
    await client?.close()
  }
}

/** What a failure of the conversation means to the person at the terminal, and what to do; defects stay what they are. */
export function inUserWords(error: unknown): unknown {
  if (error instanceof ConnectionError)
    return new UserError(`the cluster does not answer: ${error.message}`, connectionRemedy(error), {
      cause: error,
    })
  if (isKeyProblem(error))
    return new UserError(
      `the kubeconfig's client certificate cannot be used with its key: ${error.message}`,
      'check client-certificate and client-key of the user',
      { cause: error },
    )
  if (!(error instanceof ApiError)) return error
  if (error.code === 404 && error.status.details?.name === undefined)
    return new UserError(
      `the cluster does not know what was asked for: ${error.message}`,
      'install the definitions: outrigger install | kubectl apply -f -',
      { cause: error },
    )
  return new UserError(error.message, refusalRemedy(error), { cause: error })
}

function connectionRemedy({ cause, message }: ConnectionError): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  if (isKeyProblem(cause)) return 'check client-certificate and client-key of the user in the kubeconfig'
  if (/EXPIRED|NOT_YET_VALID/.test(code))
    return 'renew the certificate of the API server, and check the clock'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return 'its certificate is for another name: check server (or tls-server-name) in the kubeconfig'
  if (/SELF_SIGNED|UNABLE_TO|CERT/.test(code))
    return 'the kubeconfig trusts another authority than the one it shows: check certificate-authority and server, or a proxy between'
  if (/EPROTO|ERR_SSL|HPE_/.test(code))
    return 'something else than a Kubernetes API server answers there: check server'
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'check the host name of server in the kubeconfig'
  if (message.startsWith('the token')) return 'check tokenFile in the kubeconfig'
  return 'check --kubeconfig and --context, and that the API server runs'
}

/** OpenSSL's word on a certificate or key that it was given. */
function isKeyProblem(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^ERR_(OSSL|CRYPTO)/.test(String(error.code))
}

function refusalRemedy({ code, message }: ApiError): string | undefined {
  if (code === 401)
    return 'the kubeconfig has a token or certificate that this cluster does not know, or no more: get a new one'
  if (/failed calling webhook "[^"]*\.kb\.io"/.test(message))
    return `see that the manager runs: kubectl get pods -n ${defaultNames.namespace}`
  if (code !== 403) return undefined
  return message.includes('"system:anonymous"')
    ? 'the kubeconfig gives no token, client certificate or credential plugin that this cluster takes'
    : 'use a kubeconfig with more rights'
}
