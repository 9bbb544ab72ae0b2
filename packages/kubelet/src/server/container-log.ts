import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import type { Clock } from '@outrigger/foundation'
import type { Pod, PodStatus } from '@outrigger/kube'
import { identityOf } from '../pod/container-record.ts'
import type { ContainerState, PodRuntime } from '../runtime.ts'
import { type LogSource, readLog } from './log-reader.ts'
import { parseLogRequest } from './log-request.ts'
import type { ServedPods } from './served-pods.ts'
import { ServerError } from './server-error.ts'

export interface LogPlace {
  readonly pods: ServedPods
  readonly runtime: PodRuntime
  readonly clock: Clock
}

/** Answers `GET /containerLogs/{namespace}/{pod}/{container}`. */
export async function serveContainerLog(
  path: { readonly namespace: string; readonly pod: string; readonly container: string },
  query: URLSearchParams,
  request: IncomingMessage,
  answer: ServerResponse,
  place: LogPlace,
): Promise<void> {
  const { pods, runtime, clock } = place
  const wish = readWish(query, clock.now())
  const found = pods.get(path.namespace, path.pod)
  if (found === undefined) throw new ServerError(404, `pod "${path.pod}" does not exist`)
  const run = pickRun(found, path, wish.previous)
  const stop = new AbortController()
  answer.once('close', () => stop.abort())
  request.once('aborted', () => stop.abort())
  const source: LogSource = {
    files: runtime.files,
    path: join(runtime.files.logDirectory(identityOf(found.pod)), path.container, `${run.attempt}.log`),
    isAlive: () => {
      const now = pods.get(path.namespace, path.pod)?.observed.runs.get(path.container)
      return now?.find((each) => each.id === run.id)?.state === 'running'
    },
    // The end of a container often brings no more text; a look every second finds it.
    onChange: (listener) => clock.after(1000, listener),
  }
  answer.writeHead(200, { 'content-type': 'text/plain', 'transfer-encoding': 'chunked' })
  answer.flushHeaders()
  for await (const piece of readLog(source, wish, stop.signal)) {
    if (!answer.write(piece)) await drained(answer, stop.signal)
    if (stop.signal.aborted) break
  }
  answer.end()
}

function readWish(query: URLSearchParams, now: number) {
  try {
    return parseLogRequest(query, now)
  } catch (error) {
    if (error instanceof RangeError) throw new ServerError(400, error.message)
    throw error
  }
}

/** The run whose log is meant. @throws ServerError with kubelet's sentences */
function pickRun(
  found: NonNullable<ReturnType<ServedPods['get']>>,
  path: { readonly pod: string; readonly container: string },
  previous: boolean,
): ContainerState {
  const { pod, observed, status } = found
  if (!hasContainer(pod, path.container)) {
    throw new ServerError(404, `container "${path.container}" not found in pod "${path.pod}"`)
  }
  const runs = (observed.runs.get(path.container) ?? []).filter((run) => run.state !== 'created')
  const [latest, before] = runs
  const quoted = `container "${path.container}" in pod "${path.pod}"`
  if (previous) {
    // While a container waits to be restarted, the run that has ended is the previous one.
    const isWaiting = stateOf(status, path.container)?.waiting !== undefined
    const run = isWaiting && latest?.state === 'exited' ? latest : before
    if (run === undefined) {
      throw new ServerError(400, `previous terminated ${quoted} not found`)
    }
    return run
  }
  if (latest !== undefined) return latest
  const waiting = stateOf(status, path.container)?.waiting
  const reason = waiting?.reason ?? 'ContainerCreating'
  if (reason === 'ErrImagePull' || reason === 'ImagePullBackOff') {
    const why = reason === 'ErrImagePull' ? "image can't be pulled" : 'trying and failing to pull image'
    throw new ServerError(400, `${quoted} is waiting to start: ${why}`)
  }
  throw new ServerError(400, `${quoted} is waiting to start: ${reason}`)
}

function hasContainer(pod: Pod, name: string): boolean {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec
  return [...containers, ...initContainers, ...ephemeralContainers].some((each) => each.name === name)
}

function stateOf(status: PodStatus, name: string) {
  const all = [
    ...(status.containerStatuses ?? []),
    ...(status.initContainerStatuses ?? []),
    ...(status.ephemeralContainerStatuses ?? []),
  ]
  return all.find((each) => each.name === name)?.state
}

function drained(answer: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const finish = () => {
      answer.off('drain', finish)
      signal.removeEventListener('abort', finish)
      resolve()
    }
    answer.once('drain', finish)
    signal.addEventListener('abort', finish, { once: true })
  })
}
