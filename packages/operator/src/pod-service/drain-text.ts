import { formatTime } from '@outrigger/foundation'
import type { OutOfService } from './pod-service.ts'

/** How far a drain is, in words that go on from "the pod is". `duration`: milliseconds out of service, where that is known. */
export function drainText(
  { since, drainedAt, listedIn }: OutOfService,
  duration: number | undefined,
): string {
  const intro = `out of service since ${formatTime(since)}`
  if (drainedAt !== undefined && duration !== undefined)
    return `${intro}; its containers restart after ${formatTime(drainedAt + duration + 999)}`
  if (drainedAt !== undefined) return intro
  return listedIn.length > 0
    ? `${intro}, and EndpointSlices ${listedIn.join(', ')} still send it traffic`
    : `${intro}, until it is unready and no EndpointSlice sends it traffic`
}
