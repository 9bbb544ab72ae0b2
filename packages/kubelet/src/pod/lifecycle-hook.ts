import { type Clock, messageOf } from '@outrigger/foundation'
import type { LifecycleHandler, Pod } from '@outrigger/kube'
import { type Dial, httpGet } from '../probe/connection.ts'
import { portOf } from '../probe/probe-attempt.ts'
import type { PodRuntime } from '../runtime.ts'
import type { ContainerLife } from './pod-life.ts'

export interface HookPlace {
  readonly runtime: PodRuntime
  readonly clock: Clock
  readonly dial: Dial
  readonly podIp: string
}

const postStartLimitSeconds = 24 * 3600

/** Runs a lifecycle hook to its end. @throws Error with kubelet's message when it fails */
export async function runHook(
  hook: LifecycleHandler,
  pod: Pod,
  life: ContainerLife,
  containerId: string,
  place: HookPlace,
  timeoutSeconds: number | undefined,
  signal: AbortSignal,
): Promise<void> {
  const where = `for Container "${life.name}" in Pod "${pod.metadata.name}_${pod.metadata.namespace}(${pod.metadata.uid})" failed`
  if (hook.exec !== undefined) {
    const command = hook.exec.command ?? []
    const limit = timeoutSeconds ?? postStartLimitSeconds
    const outcome = await place.runtime.execSync(containerId, command, limit, signal)
    if (outcome.exitCode === 0) return
    const output = Buffer.concat([outcome.stdout, outcome.stderr]).toString('utf8')
    const text = command.join(' ')
    throw new Error(
      `Exec lifecycle hook ([${text}]) ${where} - error: command '${text}' exited with ${outcome.exitCode}: ${Buffer.from(outcome.stderr).toString('utf8').trim()}, message: ${JSON.stringify(output)}`,
    )
  }
  if (hook.httpGet !== undefined) {
    try {
      const port = portOf(hook.httpGet.port ?? 80, life.spec)
      const answer = await httpGet(hook.httpGet, hook.httpGet.host || place.podIp, port, place.dial, signal)
      if (answer.status >= 400) throw new Error(`HTTP status ${answer.status}`)
    } catch (error) {
      throw new Error(
        `HTTP lifecycle hook (${hook.httpGet.path ?? '/'}) ${where} - error: ${messageOf(error)}`,
      )
    }
    return
  }
  if (hook.sleep !== undefined) return place.clock.sleep(hook.sleep.seconds * 1000, signal)
  throw new Error(`invalid handler: the hook of container "${life.name}" has no action`)
}
