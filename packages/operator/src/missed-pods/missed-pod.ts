/** A pod that runs, or is about to, without SidecarSets it should carry. */
export interface MissedPod {
  readonly key: string
  readonly uid: string
  readonly sidecarSets: readonly string[]
  /** Wall time in milliseconds; 0 where it is not known. */
  readonly createdAt: number
  readonly isReady: boolean
  /** Key of the owner that makes a new pod at no cost; `undefined` where nobody does. */
  readonly owner: string | undefined
}
