import type { Clock, Random } from '@outrigger/foundation'
import type { ObjectKey } from '@outrigger/kube'
import type { Objects } from '../registry/objects.ts'
import type { Subresource } from '../registry/resource.ts'

/** What the built-in kinds and admission steps need to know of the server they run in. */
export interface KindsEnvironment {
  /** The stored objects, for rules that look beyond the object at hand (PDBs, quotas, service IPs). */
  readonly objects: Objects
  readonly clock: Clock
  readonly random: Random
  /** `--feature-gates` of the server. */
  isEnabled(gate: string): boolean
  /** IPv4 range cluster IPs are drawn from. Defaults to `10.96.0.0/16`. */
  readonly serviceCidr?: string
  /** First and last port of node ports. Defaults to 30000-32767. */
  readonly nodePortRange?: readonly [first: number, last: number]
  /** `serviceaccounts/token`; without it the subresource does not exist. */
  readonly tokenRequest?: Subresource
  /**
   * Deletes a pod the way DELETE does (grace period, finalizers, watch event). An eviction ends with it; `options`
   * are the eviction's deleteOptions.
   */
  readonly deletePod?: (
    key: ObjectKey,
    options: Readonly<Record<string, unknown>>,
    isDryRun: boolean,
  ) => Promise<void>
}
