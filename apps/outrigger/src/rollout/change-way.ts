import { type ChangePolicies, type ChangeWay, changePolicies, type SidecarSet } from '@outrigger/api'

/** Ways by which pods come to new content while a rollout goes on. */
export type MovingWay = Exclude<ChangeWay, 'wait'>

/** How pods change, as the word of a table. */
export const wayWords = {
  images: 'in place',
  resize: 'resized in place',
  recreate: 'made anew',
} as const satisfies Readonly<Record<MovingWay, string>>

/** What happens to a pod that goes this way. */
export const waySentences: Readonly<Record<MovingWay, string>> = {
  images: 'new images in place',
  resize: 'resized in place',
  recreate: 'evicted, for its owner to make it anew',
}

/** How the SidecarSet has its pods change, class by class; `undefined` where it says nothing. */
export function policyText(sidecarSet: SidecarSet): string | undefined {
  const policies = changePolicies(sidecarSet)
  return policies && textOf(policies)
}

function textOf({ onImageChange, onResourcesChange, onOtherChange }: ChangePolicies): string {
  const words = {
    InPlace: 'in place',
    Resize: 'resized in place',
    Recreate: 'made anew within the budget',
    Wait: 'wait for the next recreation',
  } as const
  return `images ${words[onImageChange]}; cpu and memory ${words[onResourcesChange]}; all else ${words[onOtherChange]}`
}
