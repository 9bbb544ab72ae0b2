import {
  type Container,
  duplicate,
  type EphemeralContainer,
  forbidden,
  required,
  type Volume,
} from '@outrigger/kube'
import { checkName, type Errors, notFoundValue, notSupported } from '../field-checks.ts'
import { labelProblems } from '../name-rules.ts'
import { checkEnv, checkEnvFrom } from './env-rules.ts'
import { checkContainerPorts } from './port-rules.ts'
import { checkLifecycle, checkProbes } from './probe-rules.ts'
import { checkResources } from './resource-rules.ts'
import { checkContainerSecurity } from './security-rules.ts'
import { checkVolumeMounts } from './volume-mount-rules.ts'

/** What container rules need to know of the pod around them. */
export interface ContainerSurroundings {
  /** Volumes that are valid, by name. */
  readonly volumes: ReadonlyMap<string, Volume>
  readonly claimNames: ReadonlySet<string>
  readonly gracePeriod: number
  readonly hostNetwork: boolean
}

const pullPolicies = ['Always', 'IfNotPresent', 'Never']
const messagePolicies = ['FallbackToLogsOnError', 'File']
const restartPolicies = ['Always', 'Never', 'OnFailure']

/** Regular containers of a pod. Their names are put into `names`. */
export function checkContainers(
  errors: Errors,
  path: string,
  containers: readonly Container[] | undefined,
  around: ContainerSurroundings,
  names: Set<string>,
): void {
  if (containers === undefined || containers === null || containers.length === 0) {
    errors.push(required(path))
    return
  }
  for (let index = 0; index < containers.length; index++) {
    const container = containers[index] as Container
    const at = `${path}[${index}]`
    checkAnyContainer(errors, at, container, around)
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name))
    else names.add(container.name)
    if (container.lifecycle !== undefined)
      checkLifecycle(errors, `${at}.lifecycle`, container.lifecycle, around.gracePeriod)
    checkProbes(errors, at, container, around.gracePeriod)
    checkRestartPolicy(errors, at, container)
  }
  checkHostPortConflicts(errors, path, containers, 0)
}

/** Init containers, among them native sidecars (`restartPolicy: Always`), which may do what containers may. */
export function checkInitContainers(
  errors: Errors,
  path: string,
  containers: readonly Container[],
  around: ContainerSurroundings,
  names: Set<string>,
): void {
  for (let index = 0; index < containers.length; index++) {
    const container = containers[index] as Container
    const at = `${path}[${index}]`
    checkAnyContainer(errors, at, container, around)
    if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name))
    else if (container.name !== '') names.add(container.name)
    checkHostPortConflicts(errors, path, [container], index)
    checkRestartPolicy(errors, at, container)
    if (container.restartPolicy === 'Always') {
      if (container.lifecycle !== undefined)
        checkLifecycle(errors, `${at}.lifecycle`, container.lifecycle, around.gracePeriod)
      checkProbes(errors, at, container, around.gracePeriod)
    } else checkOneTimeContainer(errors, at, container)
  }
}

const sidecarOnly = 'may not be set for init containers without restartPolicy=Always'

function checkOneTimeContainer(errors: Errors, at: string, container: Container): void {
  if (container.lifecycle !== undefined) errors.push(forbidden(`${at}.lifecycle`, sidecarOnly))
  if (container.livenessProbe !== undefined) errors.push(forbidden(`${at}.livenessProbe`, sidecarOnly))
  if (container.readinessProbe !== undefined) errors.push(forbidden(`${at}.readinessProbe`, sidecarOnly))
  if (container.startupProbe !== undefined) errors.push(forbidden(`${at}.startupProbe`, sidecarOnly))
}

const notForEphemeral = [
  'ports',
  'lifecycle',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'resizePolicy',
  'restartPolicy',
  'restartPolicyRules',
] as const

/** Ephemeral containers, which bring neither ports nor probes nor resources of their own. */
export function checkEphemeralContainers(
  errors: Errors,
  path: string,
  containers: readonly EphemeralContainer[],
  around: ContainerSurroundings,
  names: Set<string>,
): void {
  const targets = new Set(names)
  for (let index = 0; index < containers.length; index++) {
    const container = containers[index] as EphemeralContainer
    const at = `${path}[${index}]`
    checkAnyContainer(errors, at, container as Container, around)
    if (container.name !== '') {
      if (names.has(container.name)) errors.push(duplicate(`${at}.name`, container.name))
      else names.add(container.name)
    }
    for (const field of notForEphemeral)
      if (container[field] !== undefined)
        errors.push(forbidden(`${at}.${field}`, 'cannot be set for an Ephemeral Container'))
    if (Object.keys(container.resources ?? {}).length > 0)
      errors.push(forbidden(`${at}.resources`, 'cannot be set for an Ephemeral Container'))
    container.volumeMounts?.forEach((mount, mountIndex) => {
      for (const field of ['subPath', 'subPathExpr'] as const)
        if (mount[field])
          errors.push(
            forbidden(
              `${at}.volumeMounts[${mountIndex}].${field}`,
              'cannot be set for an Ephemeral Container',
            ),
          )
    })
    const target = container.targetContainerName
    if (target !== undefined && target !== '' && !targets.has(target))
      errors.push(notFoundValue(`${at}.targetContainerName`, target))
  }
}

/** What holds for containers of every sort. */
function checkAnyContainer(
  errors: Errors,
  at: string,
  container: Container,
  around: ContainerSurroundings,
): void {
  const name = container.name ?? ''
  if (name === '') errors.push(required(`${at}.name`))
  else checkName(errors, `${at}.name`, name, labelProblems)
  if (!container.image) errors.push(required(`${at}.image`))
  const messagePolicy = container.terminationMessagePolicy
  if (messagePolicy === undefined) errors.push(required(`${at}.terminationMessagePolicy`))
  else if (!messagePolicies.includes(messagePolicy))
    errors.push(notSupported(`${at}.terminationMessagePolicy`, messagePolicy, messagePolicies))
  if (container.ports !== undefined)
    checkContainerPorts(errors, `${at}.ports`, container.ports, around.hostNetwork)
  if (container.env !== undefined) checkEnv(errors, `${at}.env`, container.env)
  if (container.envFrom !== undefined) checkEnvFrom(errors, `${at}.envFrom`, container.envFrom)
  if (container.volumeMounts !== undefined || container.volumeDevices !== undefined)
    checkVolumeMounts(errors, at, container, around.volumes)
  const pullPolicy = container.imagePullPolicy
  if (pullPolicy === undefined) errors.push(required(`${at}.imagePullPolicy`))
  else if (!pullPolicies.includes(pullPolicy))
    errors.push(notSupported(`${at}.imagePullPolicy`, pullPolicy, pullPolicies))
  if (container.resources !== undefined)
    checkResources(errors, `${at}.resources`, container.resources, around.claimNames)
  if (container.securityContext !== undefined)
    checkContainerSecurity(errors, `${at}.securityContext`, container.securityContext)
}

function checkRestartPolicy(errors: Errors, at: string, container: Container): void {
  const policy = container.restartPolicy
  if (policy !== undefined && !restartPolicies.includes(policy))
    errors.push(notSupported(`${at}.restartPolicy`, policy, restartPolicies))
  if (container.restartPolicyRules !== undefined && policy === undefined)
    errors.push(required(`${at}.restartPolicy`, 'must specify restartPolicy when restart rules are used'))
}

function checkHostPortConflicts(
  errors: Errors,
  path: string,
  containers: readonly Container[],
  firstIndex: number,
): void {
  let taken: Set<string> | undefined
  for (let index = 0; index < containers.length; index++) {
    const ports = containers[index]?.ports
    if (ports === undefined) continue
    for (let portIndex = 0; portIndex < ports.length; portIndex++) {
      const port = ports[portIndex]
      if (port?.hostPort === undefined || port.hostPort === 0) continue
      const key = `${port.protocol}/${port.hostIP ?? ''}/${port.hostPort}`
      taken ??= new Set()
      if (taken.has(key))
        errors.push(duplicate(`${path}[${firstIndex + index}].ports[${portIndex}].hostPort`, key))
      else taken.add(key)
    }
  }
}
