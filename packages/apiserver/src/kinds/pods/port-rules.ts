import { type ContainerPort, duplicate, invalid, required } from '@outrigger/kube'
import { checkPort, type Errors, notSupported } from '../field-checks.ts'
import { portNameProblems } from '../name-rules.ts'

const protocols = ['SCTP', 'TCP', 'UDP']

/** Ports of one container: their names, numbers and protocols. */
export function checkContainerPorts(
  errors: Errors,
  path: string,
  ports: readonly ContainerPort[],
  hostNetwork: boolean,
): void {
  const names = new Set<string>()
  for (let index = 0; index < ports.length; index++) {
    const port = ports[index] as ContainerPort
    const at = `${path}[${index}]`
    if (port.name !== undefined && port.name !== '') {
      const problems = portNameProblems(port.name)
      if (problems.length > 0)
        for (const problem of problems) errors.push(invalid(`${at}.name`, port.name, problem))
      else if (names.has(port.name)) errors.push(duplicate(`${at}.name`, port.name))
      else names.add(port.name)
    }
    if (!port.containerPort) errors.push(required(`${at}.containerPort`))
    else checkPort(errors, `${at}.containerPort`, port.containerPort)
    if (port.hostPort) checkPort(errors, `${at}.hostPort`, port.hostPort)
    if (port.protocol === undefined) errors.push(required(`${at}.protocol`))
    else if (!protocols.includes(port.protocol))
      errors.push(notSupported(`${at}.protocol`, port.protocol, protocols))
    if (hostNetwork && port.hostPort && port.hostPort !== port.containerPort)
      errors.push(
        invalid(`${at}.hostPort`, port.hostPort, 'must match `containerPort` when `hostNetwork` is true'),
      )
  }
}

/** A port by number or by name, as probes and services refer to it. */
export function checkPortReference(errors: Errors, field: string, port: number | string | undefined): void {
  if (typeof port === 'string') {
    for (const problem of portNameProblems(port)) errors.push(invalid(field, port, problem))
  } else checkPort(errors, field, port ?? 0)
}
