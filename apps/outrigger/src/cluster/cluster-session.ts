import { ApiError, type ClusterClient, ConnectionError } from '@outrigger/client'
import { type Clock, SystemClock, silentLogger, UserError } from '@outrigger/foundation'
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
  const client = connect(settings, environment, { clock, logger: silentLogger, userAgent: 'outrigger/cli' })
  try {
    await work({ client, clock })
  } catch (error) {
    throw inUserWords(error)
  } finally {
    await client.close()
  }
}

function inUserWords(error: unknown): unknown {
  if (error instanceof ConnectionError)
    return new UserError(
      `the cluster does not answer: ${error.message}`,
      'check --kubeconfig and --context, and that the API server runs',
      { cause: error },
    )
  if (!(error instanceof ApiError)) return error
  if (error.code === 404 && error.status.details?.name === undefined)
    return new UserError(
      `the cluster does not know what was asked for: ${error.message}`,
      'install the definitions: outrigger install | kubectl apply -f -',
      { cause: error },
    )
  const remedy = error.code === 401 || error.code === 403 ? 'use a kubeconfig with more rights' : undefined
  return new UserError(error.message, remedy, { cause: error })
}
