import {
  customResourceDefinitions,
  type DefinitionOptions,
  outriggerResources,
  withStoredVersionOf,
} from '@outrigger/api'
import type { Client } from '@outrigger/client'
import { type Clock, type Logger, messageOf } from '@outrigger/foundation'
import { type CustomResourceDefinition, type KubeObject, resources } from '@outrigger/kube'
import { ensureObject } from '../ensure-object.ts'

export interface InstallOptions {
  readonly client: Pick<Client, 'get' | 'create' | 'update' | 'serves' | 'list'>
  readonly clock: Clock
  readonly logger: Logger
  readonly definitions?: DefinitionOptions
}

const pause = 500
const maxPause = 10_000

/**
 * How a definition is written over one that is there. A conversion by webhook that nobody asks for any more goes, all of
 * it: kruise-manager's would be asked for every SidecarSet, and we cannot answer before we have read them.
 */
function adopted(
  wanted: CustomResourceDefinition,
  found: CustomResourceDefinition,
): CustomResourceDefinition {
  const kept = withStoredVersionOf(wanted, found)
  if (kept.spec.conversion !== undefined || found.spec.conversion?.webhook === undefined) return kept
  // Undefined takes away what is there; the field alone would leave it.
  const conversion = { strategy: 'None', webhook: undefined } as unknown as typeof kept.spec.conversion
  return { ...kept, spec: { ...kept.spec, conversion } }
}

/**
 * Makes the API server serve our resources: installs their definitions and waits until they can be
 * listed. Tries until it succeeds or `signal` aborts. A manager that may not write definitions gets along with
 * those an administrator installed.
 */
export async function installDefinitions(options: InstallOptions, signal: AbortSignal): Promise<void> {
  const { client, clock, logger } = options
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      for (const definition of customResourceDefinitions(options.definitions))
        await ensureObject(client, resources.customResourceDefinitions, definition, signal, adopted)
    } catch (error) {
      if (signal.aborted) return
      logger.warn('resource definitions could not be installed', { error: messageOf(error) })
    }
    if (await areServed(client, signal)) return
    const wait = Math.min(maxPause, pause * 1.5 ** attempt)
    await clock.sleep(wait, signal).catch(() => {})
  }
}

async function areServed(client: InstallOptions['client'], signal: AbortSignal): Promise<boolean> {
  try {
    for (const resource of [outriggerResources.sidecarSets, outriggerResources.sidecarSetResourceBindings])
      await client.list<KubeObject>(resource, { limit: 1, signal })
    return true
  } catch {
    return false
  }
}
