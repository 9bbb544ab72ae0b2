import { isNotFound } from '@outrigger/client'
import { createControlPlane } from '@outrigger/control-plane'
import { type ConfigMap, resources } from '@outrigger/kube'
import type { Command } from 'commander'
import { type ConnectionSettings, connect, findConnection, withConnectionFlags } from '../connection.ts'
import type { Environment } from '../environment.ts'
import type { LogSettings } from '../settings.ts'
import { type Service, serve, withLogFlags } from './serve.ts'

interface ControlPlaneSettings extends LogSettings, ConnectionSettings {}

export function addControlPlaneCommand(program: Command, environment: Environment): void {
  const command = withConnectionFlags(program.command('control-plane')).description(
    'run the built-in controllers and the scheduler alone, for an API server that has none of its own (outrigger apiserver)',
  )
  withLogFlags(command).action((settings: ControlPlaneSettings) =>
    serve(settings, environment, (service) => begin(settings, environment, service)),
  )
}

async function begin(
  settings: ControlPlaneSettings,
  environment: Environment,
  service: Service,
): Promise<void> {
  const { clock, random, logger } = service
  const client = connect(settings, environment, { clock, logger, userAgent: 'outrigger/control-plane' })
  service.atEnd(() => client.close())
  const published = await client
    .get<ConfigMap>(
      resources.configMaps,
      { namespace: 'kube-system', name: 'kube-root-ca.crt' },
      { signal: service.signal },
    )
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error
    })
  const rootCa =
    findConnection(settings, environment).certificateAuthority ?? published?.data?.['ca.crt'] ?? ''
  await service.start(createControlPlane({ client, rootCa, clock, random, logger }))
  environment.writeOut('The controllers and the scheduler run.\n')
}
