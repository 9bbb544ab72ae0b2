import { podAnnotations } from '@outrigger/api'
import { hasVirtualNodeLabel } from '@outrigger/injection'
import { isRecord, type Pod } from '@outrigger/kube'

/** The text a pod is marked with before it is deleted. It names the pod, so that a copy of it says nothing. */
export function replacementMark(uid: string, time: string): string {
  return JSON.stringify({ uid, time })
}

/** The mark a pod carries, if it is the pod's own. */
export function markOf({ metadata }: Pod): string | undefined {
  const text = metadata.annotations?.[podAnnotations.replacementMark]
  if (text === undefined || metadata.uid === undefined) return undefined
  try {
    const mark: unknown = JSON.parse(text)
    return isRecord(mark) && mark['uid'] === metadata.uid ? text : undefined
  } catch {
    return undefined
  }
}

/** What a replacement says of the pod in whose place it was created. */
export function replacesText({ name, uid }: { readonly name: string; readonly uid: string }): string {
  return `${name}/${uid}`
}

/**
 * The uid of the pod that this one replaces. It counts on pods with the virtual-node label alone, which nobody but us can
 * set.
 */
export function replacedUid(pod: Pod): string | undefined {
  const text = pod.metadata.annotations?.[podAnnotations.replaces]
  if (text === undefined || !hasVirtualNodeLabel(pod)) return undefined
  const uid = text.slice(text.indexOf('/') + 1)
  return uid === '' ? undefined : uid
}
