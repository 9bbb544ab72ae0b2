import { goJson, sidecarSetUpgradableCondition } from '@outrigger/api'
import type { Pod, PodCondition } from '@outrigger/kube'
import { isRolling } from '../sidecar-set-rollout/rollout-round.ts'
import { injectedSidecarSets, inPlaceStates, parseMap } from '../sidecar-set-status/pod-annotations.ts'
import type { SidecarSetLedger } from '../sidecar-set-status/sidecar-set-ledger.ts'

/**
 * The condition `SidecarSetUpgradable` a pod should have, for all its SidecarSets that were upgraded or cannot be;
 * `undefined` when it should have none or has it already. `now` is asked only where the time of a change is written. Entries of SidecarSets that are gone are left out.
 */
export function missingCondition(
  pod: Pod,
  key: string,
  ledger: Pick<SidecarSetLedger, 'tallyOf'>,
  now: () => string,
): PodCondition | undefined {
  const present = pod.status?.conditions?.find(({ type }) => type === sidecarSetUpgradableCondition)
  const entries = new Map<string, boolean>()
  const said = parseMap(present?.message) ?? {}
  const states = inPlaceStates(pod) ?? {}
  for (const name of new Set([...injectedSidecarSets(pod), ...Object.keys(said)])) {
    const isUpgradable = verdict(key, name, ledger, said[name], Object.hasOwn(states, name))
    if (isUpgradable !== undefined) entries.set(name, isUpgradable)
  }
  if (entries.size === 0 && present === undefined) return undefined
  const names = [...entries.keys()].sort()
  const status = names.every((name) => entries.get(name)) ? 'True' : 'False'
  const message = goJson(Object.fromEntries(names.map((name) => [name, entries.get(name) ?? false])))
  const reason = status === 'True' ? 'AllSidecarsetUpgradable' : 'UpdateImmutableField'
  if (present?.status === status && present.message === message && present.reason === reason) return undefined
  const since = present?.status === status ? present.lastTransitionTime : undefined
  return { type: sidecarSetUpgradableCondition, status, reason, message, lastTransitionTime: since ?? now() }
}

/** What is to be said about one SidecarSet; `undefined` for nothing. */
function verdict(
  key: string,
  name: string,
  ledger: Pick<SidecarSetLedger, 'tallyOf'>,
  said: unknown,
  wasUpgraded: boolean,
): boolean | undefined {
  const tally = ledger.tallyOf(name)
  if (tally === undefined) return undefined
  const before = typeof said === 'boolean' ? said : undefined
  const view = tally.views.get(key)
  if (view === undefined) return before
  // Left out by updateStrategy.selector, or nobody knows what it should have: nobody has looked whether it could be upgraded.
  if (view.kind === 'not-selected' || view.kind === 'unrecorded') return before
  if (view.kind === 'not-upgradable' || view.way === 'recreate')
    return isRolling(tally.set.sidecarSet) ? false : before
  return wasUpgraded || before !== undefined ? true : undefined
}
