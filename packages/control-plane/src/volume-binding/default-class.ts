import { type Client, isAlreadyExists } from '@outrigger/client'
import { backoffDelay, type Clock, type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import { resources, type StorageClass } from '@outrigger/kube'
import { localProvisioner } from './volume-plan.ts'

/** The class of claims that name none. */
const standard: StorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: localProvisioner,
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'WaitForFirstConsumer',
}

const retry = { initial: 500, max: 10_000 }

/** Makes the storage class `standard` once, unless there is one of that name; what became of it is its owner's. */
export function createDefaultClass(options: {
  readonly client: Client
  readonly clock: Clock
  readonly logger: Logger
}): Runnable {
  const { client, clock, logger } = options
  return {
    name: 'default storage class',
    async run(signal) {
      for (let failures = 1; !signal.aborted; failures++) {
        try {
          await client.create(resources.storageClasses, standard, { signal })
          return
        } catch (error) {
          if (signal.aborted || isAlreadyExists(error)) return
          logger.warn('the default storage class could not be made yet', { error: messageOf(error) })
          await clock.sleep(backoffDelay(retry, failures), signal).catch(() => {})
        }
      }
    },
  }
}
