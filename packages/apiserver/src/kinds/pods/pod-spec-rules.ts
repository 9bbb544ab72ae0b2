import { invalid, type PodSpec, required, type Volume } from '@outrigger/kube'
import { nanosOf } from '../amounts.ts'
import { checkLabels, checkName, type Errors, notSupported } from '../field-checks.ts'
import { labelProblems, qualifiedNameProblems, subdomainProblems } from '../name-rules.ts'
import {
  type ContainerSurroundings,
  checkContainers,
  checkEphemeralContainers,
  checkInitContainers,
} from './container-rules.ts'
import { checkAffinity, checkSchedulingGates, checkSpread, checkTolerations } from './scheduling-rules.ts'
import { checkPodSecurity } from './security-rules.ts'
import { checkVolumes } from './volume-rules.ts'

const restartPolicies = ['Always', 'OnFailure', 'Never']
const dnsPolicies = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']
const preemptionPolicies = ['PreemptLowerPriority', 'Never']
const noVolumes: ReadonlyMap<string, Volume> = new Map()
const noClaims: ReadonlySet<string> = new Set()

/**
 * `ValidatePodSpec` of k8s.io/kubernetes/pkg/apis/core/validation, in its order: clients see the order in
 * the message.
 */
export function checkPodSpec(errors: Errors, path: string, spec: PodSpec): void {
  const gracePeriod = spec.terminationGracePeriodSeconds
  if (gracePeriod === undefined) errors.push(required(`${path}.terminationGracePeriodSeconds`))
  let volumes = noVolumes
  if (spec.volumes !== undefined) {
    const valid = new Map<string, Volume>()
    checkVolumes(errors, `${path}.volumes`, spec.volumes, valid)
    volumes = valid
  }
  const around: ContainerSurroundings = {
    volumes,
    claimNames:
      spec.resourceClaims === undefined ? noClaims : new Set(spec.resourceClaims.map(({ name }) => name)),
    gracePeriod: gracePeriod ?? 0,
    hostNetwork: spec.hostNetwork === true,
  }
  const names = new Set<string>()
  checkContainers(errors, `${path}.containers`, spec.containers, around, names)
  if (spec.initContainers !== undefined)
    checkInitContainers(errors, `${path}.initContainers`, spec.initContainers, around, names)
  if (spec.ephemeralContainers !== undefined)
    checkEphemeralContainers(errors, `${path}.ephemeralContainers`, spec.ephemeralContainers, around, names)
  const policy = spec.restartPolicy
  if (policy === undefined) errors.push(required(`${path}.restartPolicy`))
  else if (!restartPolicies.includes(policy))
    errors.push(notSupported(`${path}.restartPolicy`, policy, restartPolicies))
  checkDns(errors, path, spec)
  checkLabels(errors, `${path}.nodeSelector`, spec.nodeSelector)
  if (spec.securityContext !== undefined)
    checkPodSecurity(errors, `${path}.securityContext`, spec.securityContext)
  if (spec.affinity !== undefined) checkAffinity(errors, `${path}.affinity`, spec.affinity)
  spec.readinessGates?.forEach((gate, index) => {
    checkName(
      errors,
      `${path}.readinessGates[${index}].conditionType`,
      gate.conditionType,
      qualifiedNameProblems,
    )
  })
  if (spec.schedulingGates !== undefined)
    checkSchedulingGates(errors, `${path}.schedulingGates`, spec.schedulingGates)
  if (spec.topologySpreadConstraints !== undefined)
    checkSpread(errors, `${path}.topologySpreadConstraints`, spec.topologySpreadConstraints)
  checkNames(errors, path, spec)
  checkDeadline(errors, `${path}.activeDeadlineSeconds`, spec.activeDeadlineSeconds)
  if (spec.tolerations !== undefined) checkTolerations(errors, `${path}.tolerations`, spec.tolerations)
  checkHostAliases(errors, `${path}.hostAliases`, spec)
  checkRest(errors, path, spec)
}

function checkDns(errors: Errors, path: string, spec: PodSpec): void {
  const policy = spec.dnsPolicy
  if (policy === undefined) errors.push(required(`${path}.dnsPolicy`))
  else if (!dnsPolicies.includes(policy)) errors.push(notSupported(`${path}.dnsPolicy`, policy, dnsPolicies))
  const config = spec.dnsConfig
  const servers = config?.nameservers ?? []
  if (policy === 'None' && servers.length === 0)
    errors.push(
      required(
        `${path}.dnsConfig${config === undefined ? '' : '.nameservers'}`,
        config === undefined
          ? 'must provide `dnsConfig` when `dnsPolicy` is None'
          : 'must provide at least one DNS nameserver when `dnsPolicy` is None',
      ),
    )
  if (config === undefined) return
  if (servers.length > 3)
    errors.push(invalid(`${path}.dnsConfig.nameservers`, servers, 'must not have more than 3 nameservers'))
  servers.forEach((server, index) => {
    checkIp(errors, `${path}.dnsConfig.nameservers[${index}]`, server)
  })
  config.options?.forEach((option, index) => {
    if (!option.name) errors.push(required(`${path}.dnsConfig.options[${index}]`, 'must not be empty'))
  })
}

const ipv4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/
const ipv6 = /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/

/** An IPv4 or IPv6 address. */
export function isIp(text: string): boolean {
  return ipv4.test(text) || (ipv6.test(text) && text.includes(':'))
}

/** An error on `field` unless `text` is an IP address. */
export function checkIp(errors: Errors, field: string, text: string): void {
  if (!isIp(text))
    errors.push(invalid(field, text, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'))
}

function checkNames(errors: Errors, path: string, spec: PodSpec): void {
  if (spec.serviceAccountName)
    checkName(errors, `${path}.serviceAccountName`, spec.serviceAccountName, subdomainProblems)
  if (spec.nodeName) checkName(errors, `${path}.nodeName`, spec.nodeName, subdomainProblems)
  if (spec.hostname) checkName(errors, `${path}.hostname`, spec.hostname, labelProblems)
  if (spec.subdomain) checkName(errors, `${path}.subdomain`, spec.subdomain, labelProblems)
}

function checkDeadline(errors: Errors, field: string, seconds: number | undefined): void {
  if (seconds !== undefined && (seconds < 1 || seconds > 2147483647))
    errors.push(invalid(field, seconds, 'must be between 1 and 2147483647, inclusive'))
}

function checkHostAliases(errors: Errors, path: string, spec: PodSpec): void {
  spec.hostAliases?.forEach((alias, index) => {
    checkIp(errors, `${path}[${index}].ip`, alias.ip)
    alias.hostnames?.forEach((name) => {
      checkName(errors, `${path}[${index}].hostnames`, name, subdomainProblems)
    })
  })
}

function checkRest(errors: Errors, path: string, spec: PodSpec): void {
  if (spec.priorityClassName)
    checkName(errors, `${path}.priorityClassName`, spec.priorityClassName, subdomainProblems)
  if (spec.runtimeClassName !== undefined)
    checkName(errors, `${path}.runtimeClassName`, spec.runtimeClassName, subdomainProblems)
  const preemption = spec.preemptionPolicy
  if (preemption !== undefined && !preemptionPolicies.includes(preemption))
    errors.push(notSupported(`${path}.preemptionPolicy`, preemption, preemptionPolicies))
  for (const name in spec.overhead)
    if (nanosOf(spec.overhead[name]) < 0n)
      errors.push(
        invalid(`${path}.overhead[${name}]`, spec.overhead[name], 'must be greater than or equal to 0'),
      )
  const os = spec.os?.name
  if (spec.os !== undefined) {
    if (!os) errors.push(required(`${path}.os.name`, 'cannot be empty'))
    else if (os !== 'linux' && os !== 'windows')
      errors.push(notSupported(`${path}.os.name`, os, ['linux', 'windows']))
  }
}
