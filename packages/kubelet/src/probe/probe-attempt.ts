import { type Clock, DeadlineExceeded, messageOf, withDeadline } from '@outrigger/foundation'
import type { Container, IntOrString, Probe } from '@outrigger/kube'
import { type PodRuntime, RuntimeError } from '../runtime.ts'
import { type Dial, grpcHealth, httpGet, urlOf } from './connection.ts'

export interface ProbeTarget {
  readonly container: Container
  readonly containerId: string
  readonly podIp: string
  readonly dial: Dial
}

export interface ProbeOutcome {
  /** `unknown`: the probe itself could not be made, which says nothing about the container. */
  readonly verdict: 'success' | 'failure' | 'unknown'
  readonly output: string
}

/** Makes one probe within its time. Never rejects, except when `signal` aborts. */
export async function attemptProbe(
  probe: Probe,
  target: ProbeTarget,
  runtime: PodRuntime,
  clock: Clock,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const seconds = probe.timeoutSeconds ?? 1
  try {
    return await withDeadline(
      clock,
      seconds * 1000 + (probe.exec === undefined ? 0 : 500),
      'the probe',
      (inner) => probeOnce(probe, target, runtime, seconds, inner),
      signal,
    )
  } catch (error) {
    if (signal.aborted) throw error
    // What could not be started says nothing; what did not end in time or was not answered has failed.
    const verdict = probe.exec !== undefined && !isLate(error) ? 'unknown' : 'failure'
    return { verdict, output: failureText(error, probe, target, seconds) }
  }
}

/** The number of a port given by number or name. @throws Error when no port has that name */
export function portOf(port: IntOrString, container: Container): number {
  if (typeof port === 'number') return port
  const named = container.ports?.find((each) => each.name === port)
  if (named !== undefined) return named.containerPort
  const number = Number(port)
  if (Number.isInteger(number)) return number
  throw new Error(`couldn't find port: ${port}`)
}

async function probeOnce(
  probe: Probe,
  target: ProbeTarget,
  runtime: PodRuntime,
  seconds: number,
  signal: AbortSignal,
): Promise<ProbeOutcome> {
  const { container, containerId, podIp, dial } = target
  if (probe.exec !== undefined) {
    const outcome = await runtime.execSync(containerId, probe.exec.command ?? [], seconds, signal)
    const output = Buffer.concat([outcome.stdout, outcome.stderr])
      .subarray(0, 10 * 1024)
      .toString('utf8')
    return { verdict: outcome.exitCode === 0 ? 'success' : 'failure', output }
  }
  if (probe.httpGet !== undefined) {
    const host = probe.httpGet.host || podIp
    const answer = await httpGet(probe.httpGet, host, portOf(probe.httpGet.port, container), dial, signal)
    if (answer.status >= 200 && answer.status < 400) return { verdict: 'success', output: answer.body }
    return { verdict: 'failure', output: `HTTP probe failed with statuscode: ${answer.status}` }
  }
  if (probe.tcpSocket !== undefined) {
    const host = probe.tcpSocket.host || podIp
    const socket = await dial(host, portOf(probe.tcpSocket.port, container), signal)
    socket.destroy()
    return { verdict: 'success', output: '' }
  }
  if (probe.grpc !== undefined) {
    const status = await grpcHealth(probe.grpc.service ?? '', podIp, probe.grpc.port, dial, signal)
    if (status === 1) return { verdict: 'success', output: '' }
    return {
      verdict: 'failure',
      output: `service unhealthy (responded with "${status === 2 ? 'NOT_SERVING' : 'UNKNOWN'}")`,
    }
  }
  return { verdict: 'unknown', output: 'the probe has no action' }
}

function isLate(error: unknown): boolean {
  return error instanceof DeadlineExceeded || (error instanceof RuntimeError && error.code === 'timeout')
}

function failureText(error: unknown, probe: Probe, target: ProbeTarget, seconds: number): string {
  if (probe.exec !== undefined) {
    if (!isLate(error)) return messageOf(error)
    return `command timed out: "${(probe.exec.command ?? []).join(' ')}" timed out after ${seconds}s`
  }
  if (probe.httpGet !== undefined) {
    const host = probe.httpGet.host || target.podIp
    let url: string
    try {
      url = urlOf(probe.httpGet, host, portOf(probe.httpGet.port, target.container))
    } catch (unknownPort) {
      return messageOf(unknownPort)
    }
    const why = isLate(error)
      ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
      : messageOf(error)
    return `Get "${url}": ${why}`
  }
  return isLate(error) ? `timeout: failed to connect within ${seconds}s` : messageOf(error)
}
