import { type FieldError, type ObjectMeta, unsupported } from '@outrigger/kube'
import type { ContentChange } from './change-class.ts'
import { sidecarSetAnnotations } from './names.ts'

/** What a SidecarSet does with running pods, by the class of what has changed. */
export interface ChangePolicies {
  /** Default `InPlace`. */
  readonly onImageChange: 'InPlace' | 'Recreate' | 'Wait'
  /** Default `Wait`. `Resize`: the pod is resized in place; images that change with the amounts follow. */
  readonly onResourcesChange: 'Resize' | 'Recreate' | 'Wait'
  /** Default `Wait`. */
  readonly onOtherChange: 'Recreate' | 'Wait'
}

/** How a running pod comes to the content it should have. */
export type ChangeWay =
  /** New images, in place. */
  | 'images'
  /** New amounts of cpu and memory, in place, and then new images. */
  | 'resize'
  /** A new pod, in place of this one, within the budget. */
  | 'recreate'
  /** Whenever somebody makes the pod anew. */
  | 'wait'

type PolicyName = keyof ChangePolicies

/** Each annotation, its words, the default first. */
const policies: { readonly [P in PolicyName]: readonly ChangePolicies[P][] } = {
  onImageChange: ['InPlace', 'Recreate', 'Wait'],
  onResourcesChange: ['Wait', 'Resize', 'Recreate'],
  onOtherChange: ['Wait', 'Recreate'],
}
const names = Object.keys(policies) as PolicyName[]

/**
 * What the annotations of a SidecarSet say; an unknown word, which admission refuses, counts as the default. `undefined`
 * when it has none of them: then hashes alone decide, as in OpenKruise, and no contents are compared.
 */
export function changePolicies({ metadata }: { metadata: ObjectMeta }): ChangePolicies | undefined {
  const said = (name: PolicyName) => metadata.annotations?.[sidecarSetAnnotations[name]]
  if (names.every((name) => said(name) === undefined)) return undefined
  const wordOf = <P extends PolicyName>(name: P): ChangePolicies[P] =>
    (policies[name].find((word) => word === said(name)) ?? policies[name][0]) as ChangePolicies[P]
  return {
    onImageChange: wordOf('onImageChange'),
    onResourcesChange: wordOf('onResourcesChange'),
    onOtherChange: wordOf('onOtherChange'),
  }
}

/** What is wrong with the annotations. */
export function changePolicyErrors({ metadata }: { metadata: ObjectMeta }): FieldError[] {
  return names.flatMap((name) => {
    const annotation = sidecarSetAnnotations[name]
    const value = metadata.annotations?.[annotation]
    const known: readonly string[] = policies[name]
    if (value === undefined || known.includes(value)) return []
    return [unsupported(`metadata.annotations[${annotation}]`, value, known)]
  })
}

/**
 * The way a change goes. Its class decides; where images change together with amounts, they go along only if they may
 * change in place, and else they decide: nothing is applied by half.
 */
export function wayOfChange({ changeClass, hasNewImages }: ContentChange, said: ChangePolicies): ChangeWay {
  if (changeClass === 'other') return wayOf(said.onOtherChange)
  if (changeClass === 'resources' && said.onResourcesChange !== 'Resize') return wayOf(said.onResourcesChange)
  if (changeClass === 'resources' && (!hasNewImages || said.onImageChange === 'InPlace')) return 'resize'
  return said.onImageChange === 'InPlace' ? 'images' : wayOf(said.onImageChange)
}

function wayOf(word: 'Recreate' | 'Wait'): ChangeWay {
  return word === 'Recreate' ? 'recreate' : 'wait'
}
