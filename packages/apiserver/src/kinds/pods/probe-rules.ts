import {
  type Container,
  forbidden,
  type HTTPGetAction,
  invalid,
  type Lifecycle,
  type LifecycleHandler,
  type Probe,
  required,
} from '@outrigger/kube'
import { checkName, checkNotNegative, checkPort, type Errors, notSupported } from '../field-checks.ts'
import { checkPortReference } from './port-rules.ts'

const schemes = ['HTTP', 'HTTPS']
const headerName = /^[-A-Za-z0-9]+$/

type Handler = Pick<Probe, 'exec' | 'httpGet' | 'tcpSocket' | 'grpc'> & Pick<LifecycleHandler, 'sleep'>

/** The three probes of a container. */
export function checkProbes(errors: Errors, at: string, container: Container, gracePeriod: number): void {
  if (container.livenessProbe !== undefined)
    checkProbe(errors, `${at}.livenessProbe`, container.livenessProbe, gracePeriod, true)
  if (container.readinessProbe !== undefined) {
    const path = `${at}.readinessProbe`
    checkProbe(errors, path, container.readinessProbe, gracePeriod, false)
    if (container.readinessProbe.terminationGracePeriodSeconds !== undefined)
      errors.push(
        invalid(
          `${path}.terminationGracePeriodSeconds`,
          container.readinessProbe.terminationGracePeriodSeconds,
          'must not be set for readinessProbes',
        ),
      )
  }
  if (container.startupProbe !== undefined)
    checkProbe(errors, `${at}.startupProbe`, container.startupProbe, gracePeriod, true)
}

function checkProbe(
  errors: Errors,
  path: string,
  probe: Probe,
  gracePeriod: number,
  succeedsOnce: boolean,
): void {
  checkHandler(errors, path, probe, gracePeriod)
  checkNotNegative(errors, `${path}.initialDelaySeconds`, probe.initialDelaySeconds)
  checkNotNegative(errors, `${path}.timeoutSeconds`, probe.timeoutSeconds)
  checkNotNegative(errors, `${path}.periodSeconds`, probe.periodSeconds)
  checkNotNegative(errors, `${path}.successThreshold`, probe.successThreshold)
  checkNotNegative(errors, `${path}.failureThreshold`, probe.failureThreshold)
  const grace = probe.terminationGracePeriodSeconds
  if (grace !== undefined && grace <= 0)
    errors.push(invalid(`${path}.terminationGracePeriodSeconds`, grace, 'must be greater than 0'))
  if (succeedsOnce && probe.successThreshold !== 1)
    errors.push(invalid(`${path}.successThreshold`, probe.successThreshold ?? 0, 'must be 1'))
}

/** Hooks run after start and before stop. */
export function checkLifecycle(
  errors: Errors,
  path: string,
  lifecycle: Lifecycle,
  gracePeriod: number,
): void {
  if (lifecycle.postStart !== undefined)
    checkHandler(errors, `${path}.postStart`, lifecycle.postStart, gracePeriod)
  if (lifecycle.preStop !== undefined) checkHandler(errors, `${path}.preStop`, lifecycle.preStop, gracePeriod)
}

const single = 'may not specify more than 1 handler type'

function checkHandler(errors: Errors, path: string, handler: Handler, gracePeriod: number): void {
  let count = 0
  if (handler.exec !== undefined) {
    count++
    if ((handler.exec.command ?? []).length === 0) errors.push(required(`${path}.exec.command`))
  }
  if (handler.httpGet !== undefined) {
    if (count++ > 0) errors.push(forbidden(`${path}.httpGet`, single))
    else checkHttp(errors, `${path}.httpGet`, handler.httpGet)
  }
  if (handler.tcpSocket !== undefined) {
    if (count++ > 0) errors.push(forbidden(`${path}.tcpSocket`, single))
    else checkPortReference(errors, `${path}.tcpSocket.port`, handler.tcpSocket.port)
  }
  if (handler.grpc !== undefined) {
    if (count++ > 0) errors.push(forbidden(`${path}.grpc`, single))
    else checkPort(errors, `${path}.grpc.port`, handler.grpc.port ?? 0)
  }
  if (handler.sleep !== undefined) {
    if (count++ > 0) errors.push(forbidden(`${path}.sleep`, single))
    else if (handler.sleep.seconds < 0 || handler.sleep.seconds > gracePeriod)
      errors.push(
        invalid(
          `${path}.sleep`,
          handler.sleep.seconds,
          `must be non-negative and less than terminationGracePeriodSeconds (${gracePeriod})`,
        ),
      )
  }
  if (count === 0) errors.push(required(path, 'must specify a handler type'))
}

function checkHttp(errors: Errors, path: string, action: HTTPGetAction): void {
  if (!action.path) errors.push(required(`${path}.path`))
  checkPortReference(errors, `${path}.port`, action.port)
  if (action.scheme === undefined || !schemes.includes(action.scheme))
    errors.push(notSupported(`${path}.scheme`, action.scheme ?? '', schemes))
  action.httpHeaders?.forEach((header, index) => {
    checkName(errors, `${path}.httpHeaders[${index}].name`, header.name, (name) =>
      headerName.test(name)
        ? []
        : [
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
          ],
    )
  })
}
