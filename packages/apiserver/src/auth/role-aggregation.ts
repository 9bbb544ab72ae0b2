import { type Logger, messageOf, type Runnable } from '@outrigger/foundation'
import { type ClusterRole, deepEqual, type PolicyRule } from '@outrigger/kube'
import type { Objects } from '../registry/objects.ts'
import { collectionOf } from '../registry/stored-objects.ts'
import type { Store } from '../storage/store.ts'
import { effectiveRules, rbacGroup } from './rbac.ts'

const clusterRoles = { group: rbacGroup, resource: 'clusterroles' }

/**
 * Writes down what aggregated cluster roles come to, for people who read them. Decisions do not depend on it: the
 * authorizer puts the rules together itself.
 */
export async function writeAggregatedRules(objects: Objects): Promise<void> {
  const aggregated = [...objects.list<ClusterRole>(clusterRoles)].filter((role) => role.aggregationRule)
  for (const { metadata } of aggregated) {
    await objects.write<ClusterRole>(clusterRoles, { namespace: '', name: metadata.name }, (current) => {
      if (!current?.aggregationRule) return undefined
      const rules = uniqueRules(effectiveRules(current, objects))
      return deepEqual(rules, current.rules) ? undefined : { ...current, rules }
    })
  }
}

function uniqueRules(rules: readonly PolicyRule[]): PolicyRule[] {
  const seen = new Set<string>()
  return rules.filter((rule) => {
    const text = JSON.stringify(rule)
    return !seen.has(text) && seen.add(text) !== undefined
  })
}

/** Keeps the written rules of aggregated cluster roles right whenever a cluster role changes. */
export function createRoleAggregation(objects: Objects, store: Store, logger: Logger): Runnable {
  return {
    name: 'role-aggregation',
    async run(signal) {
      let isStale = true
      let wake: (() => void) | undefined
      const rouse = () => {
        isStale = true
        wake?.()
      }
      const stop = store.watch(collectionOf(clusterRoles), store.revision, rouse)
      const end = () => wake?.()
      signal.addEventListener('abort', end, { once: true })
      try {
        while (!signal.aborted) {
          if (isStale) {
            isStale = false
            await writeAggregatedRules(objects).catch((error: unknown) =>
              logger.warn('Aggregated cluster roles could not be written.', { error: messageOf(error) }),
            )
            continue
          }
          await new Promise<void>((resolve) => {
            wake = resolve
          })
          wake = undefined
        }
      } finally {
        stop()
        signal.removeEventListener('abort', end)
      }
    },
  }
}
