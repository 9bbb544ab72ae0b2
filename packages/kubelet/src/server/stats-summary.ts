import { type Clock, formatTime } from '@outrigger/foundation'
import type { PodRuntime } from '../runtime.ts'
import type { ServedPods } from './served-pods.ts'

/** What `/stats/summary` answers: CPU and memory of containers, where the runtime measures them. */
export async function statsSummary(pods: ServedPods, runtime: PodRuntime, clock: Clock): Promise<unknown> {
  const usage = (await runtime.stats?.(new AbortController().signal)) ?? new Map()
  const time = formatTime(clock.now())
  const ofPods = pods.list().map((pod) => {
    const found = pods.get(pod.metadata.namespace ?? '', pod.metadata.name)
    const containers = [...(found?.observed.runs ?? [])].flatMap(([name, runs]) => {
      const used = usage.get(runs[0]?.id ?? '')
      if (used === undefined) return []
      return [
        {
          name,
          startTime: formatTime(runs[0]!.startedAt),
          cpu: { time, usageCoreNanoSeconds: used.cpuNanoseconds },
          memory: { time, workingSetBytes: used.memoryWorkingSet },
        },
      ]
    })
    const { name, namespace, uid } = pod.metadata
    return { podRef: { name, namespace, uid }, startTime: pod.status?.startTime ?? null, containers }
  })
  return { node: { nodeName: pods.nodeName, startTime: time }, pods: ofPods }
}
