import { podAnnotations } from '@outrigger/api'
import { type Container, isRecord, type Pod } from '@outrigger/kube'
import { formatMap, parseMap } from './pod-annotations.ts'

export type Resources = NonNullable<Container['resources']>

/**
 * Says on a pod that its containers of one SidecarSet are being resized, and what they had before: until the records of the
 * pod follow, nothing else would tell.
 */
export interface ResizeMark {
  /** Of the pod: a mark that was copied from another counts for nothing. */
  readonly uid: string
  /** By the name of the container: what it had of cpu and memory when the first step was taken. */
  readonly before: Readonly<Record<string, Resources>>
}

/** The mark on a pod for one SidecarSet. */
export function resizeMarkOf(pod: Pod, sidecarSet: string): ResizeMark | undefined {
  const text = pod.metadata.annotations?.[podAnnotations.resize]
  if (text === undefined) return undefined
  const mark = parseMap(text)?.[sidecarSet]
  if (!isRecord(mark) || mark['uid'] !== pod.metadata.uid || !isRecord(mark['before'])) return undefined
  return mark as unknown as ResizeMark
}

/** The annotation with this mark for a SidecarSet, or without one; `null` where none is left. */
export function withResizeMark(pod: Pod, sidecarSet: string, mark: ResizeMark | undefined): string | null {
  const { [sidecarSet]: _, ...others } = parseMap(pod.metadata.annotations?.[podAnnotations.resize]) ?? {}
  const marks = mark === undefined ? others : { ...others, [sidecarSet]: mark }
  return Object.keys(marks).length === 0 ? null : formatMap(marks)
}
