/** Why a node cannot take a pod. */
export interface Refusal {
  /** As kube-scheduler words it: `node(s) had untolerated taint(s)`. */
  readonly reason: string
  /** Whether removing other pods could help; no for rules about the node itself. */
  readonly isResolvable: boolean
}
