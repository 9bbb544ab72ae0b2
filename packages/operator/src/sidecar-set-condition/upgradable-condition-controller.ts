import type { Controller } from '@outrigger/controller'
import { formatTime } from '@outrigger/foundation'
import { keyOf, type Pod } from '@outrigger/kube'
import {
  createPodConditionController,
  type PodConditionOptions,
} from '../pod-condition/pod-condition-controller.ts'
import { missingCondition } from './upgradable-condition.ts'

const coalescing = 500

/** Says on each pod whether its SidecarSets can be upgraded in place. */
export function createUpgradableConditionController(options: PodConditionOptions): Controller {
  const { clock, feed } = options
  const missing = (pod: Pod) => missingCondition(pod, keyOf(pod), feed.ledger, () => formatTime(clock.now()))
  return createPodConditionController(options, {
    name: 'sidecarset-condition',
    concurrency: 4,
    delay: coalescing,
    retry: coalescing,
    isDue: (pod) => missing(pod) !== undefined,
    conditionOf: (pod) => (pod.metadata.deletionTimestamp === undefined ? missing(pod) : undefined),
  })
}
