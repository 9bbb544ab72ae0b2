import { type ObjectKey, resources } from '@outrigger/kube'
import { objectPath, query } from './resource-path.ts'

export interface LogOptions {
  /** Left out: the only container; the server refuses if there are several. */
  readonly container?: string
  /** Goes on as the container writes. Defaults to false. */
  readonly follow?: boolean
  /** The log of the container's run before this one. */
  readonly previous?: boolean
  readonly timestamps?: boolean
  readonly tailLines?: number
  readonly sinceSeconds?: number
  /** RFC 3339. */
  readonly sinceTime?: string
  readonly limitBytes?: number
  readonly signal?: AbortSignal
}

/** The path and query of a container's log. */
export function logPath(pod: ObjectKey, options: LogOptions): string {
  return (
    objectPath(resources.pods, pod, 'log') +
    query({
      container: options.container,
      follow: options.follow || undefined,
      previous: options.previous || undefined,
      timestamps: options.timestamps || undefined,
      tailLines: options.tailLines,
      sinceSeconds: options.sinceSeconds,
      sinceTime: options.sinceTime,
      limitBytes: options.limitBytes,
    })
  )
}
