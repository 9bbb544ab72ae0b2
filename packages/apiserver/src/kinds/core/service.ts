import {
  deepEqual,
  duplicate,
  forbidden,
  invalid,
  required,
  type Service,
  type ServicePort,
} from '@outrigger/kube'
import type { KindsEnvironment } from '../environment.ts'
import { checkLabels, checkName, checkPort, type Errors, notSupported } from '../field-checks.ts'
import { type KindBuilder, selectableOf } from '../kind-definition.ts'
import { label1035Problems, labelProblems, subdomainProblems } from '../name-rules.ts'
import { isIp } from '../pods/pod-spec-rules.ts'
import { checkPortReference } from '../pods/port-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'
import { createServiceAddresses, type ServiceAddresses } from './service-addresses.ts'

type Spec = NonNullable<Service['spec']>

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const protocols = ['SCTP', 'TCP', 'UDP']
const maxAffinitySeconds = 86400

/** Stable addresses of pods. Cluster IPs and node ports are drawn while the service is written. */
export const serviceKind: KindBuilder = (schema, environment: KindsEnvironment) => {
  const addresses = createServiceAddresses(environment)
  const strategy = createStrategy<Service>({
    schema,
    createsOnUpdate: true,
    initialStatus: () => ({ loadBalancer: {} }),
    applyDefaults: applyServiceDefaults,
    prepareForCreate(service) {
      allocate(service, addresses)
    },
    prepareForUpdate(service, old) {
      alignClusterIps(service, old)
      keepAllocated(service, old)
      allocate(service, addresses)
    },
    validate: (service) => serviceErrors(service, addresses),
    validateUpdate: serviceUpdateErrors,
    nameProblems: (name, isPrefix) =>
      (environment.isEnabled('RelaxedServiceNameValidation') ? labelProblems : label1035Problems)(
        name,
        isPrefix,
      ),
    afterWrite: ({ type, object }) => addresses.remember(type, object as Service),
  })
  return {
    strategy,
    status: createStatusStrategy<Service>(strategy),
    selectable: selectableOf<Service>({
      'spec.clusterIP': ({ spec }) => spec?.clusterIP,
      'spec.type': ({ spec }) => spec?.type,
    }),
  }
}

function applyServiceDefaults({ spec }: Service): void {
  if (spec === undefined) return
  spec.sessionAffinity ??= 'None'
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig
  else {
    spec.sessionAffinityConfig ??= {}
    spec.sessionAffinityConfig.clientIP ??= {}
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= 10800
  }
  spec.type ??= 'ClusterIP'
  for (const port of spec.ports ?? []) {
    port.protocol ??= 'TCP'
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '')
      port.targetPort = port.port
  }
  const isExternal =
    spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.externalIPs ?? []).length > 0
  if (isExternal) spec.externalTrafficPolicy ??= 'Cluster'
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster'
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true
  // `clusterIP` is the first of `clusterIPs`, whichever of the two a client sends.
  if (spec.clusterIP !== undefined && spec.clusterIPs === undefined) spec.clusterIPs = [spec.clusterIP]
  else if (spec.clusterIP === undefined && spec.clusterIPs?.[0]) spec.clusterIP = spec.clusterIPs[0]
}

/** A client that changes one of `clusterIP` and `clusterIPs` means the other too. */
function alignClusterIps({ spec }: Service, { spec: before }: Service): void {
  if (spec === undefined || before === undefined) return
  const first = spec.clusterIPs?.[0]
  if (spec.clusterIP === first) return
  if (first === before.clusterIPs?.[0]) {
    if (spec.clusterIP === undefined) delete spec.clusterIPs
    else spec.clusterIPs = [spec.clusterIP, ...(spec.clusterIPs ?? []).slice(1)]
  } else if (spec.clusterIP === before.clusterIP) {
    if (first === undefined) delete spec.clusterIP
    else spec.clusterIP = first
  }
}

/** An update that says nothing about what was drawn for the service keeps it. */
function keepAllocated(service: Service, old: Service): void {
  const { spec } = service
  const before = old.spec
  if (spec === undefined || before === undefined) return
  if (spec.type !== 'ExternalName' && before.type !== 'ExternalName') {
    if (spec.clusterIP === undefined && before.clusterIP !== undefined) {
      spec.clusterIP = before.clusterIP
      if (before.clusterIPs !== undefined) spec.clusterIPs = [...before.clusterIPs]
    }
    if (spec.ipFamilies === undefined && before.ipFamilies !== undefined)
      spec.ipFamilies = [...before.ipFamilies]
    if (spec.ipFamilyPolicy === undefined && before.ipFamilyPolicy !== undefined)
      spec.ipFamilyPolicy = before.ipFamilyPolicy
  }
  if (usesNodePorts(spec) && usesNodePorts(before))
    for (const port of spec.ports ?? []) {
      const same = before.ports?.find((one) => one.port === port.port && one.protocol === port.protocol)
      if (!port.nodePort && same?.nodePort) port.nodePort = same.nodePort
    }
  if (spec.type === 'ClusterIP' && before.type !== 'ClusterIP')
    for (const port of spec.ports ?? []) {
      const same = before.ports?.find((one) => one.port === port.port && one.protocol === port.protocol)
      if (port.nodePort === same?.nodePort) delete port.nodePort
    }
  if (spec.type === 'ExternalName' && before.type !== 'ExternalName' && spec.clusterIP === before.clusterIP) {
    delete spec.clusterIP
    delete spec.clusterIPs
    delete spec.ipFamilies
    delete spec.ipFamilyPolicy
  }
}

const usesNodePorts = (spec: Spec) =>
  spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)

function allocate(service: Service, addresses: ServiceAddresses): void {
  const { spec } = service
  if (spec === undefined || spec.type === 'ExternalName') return
  const isHeadless = spec.clusterIP === 'None'
  if (isHeadless && Object.keys(spec.selector ?? {}).length === 0) {
    // Nobody knows the endpoints yet, so they may be of either family.
    spec.ipFamilies ??= ['IPv4', 'IPv6']
    spec.ipFamilyPolicy ??= 'RequireDualStack'
  }
  spec.ipFamilies ??= ['IPv4']
  spec.ipFamilyPolicy ??= 'SingleStack'
  if (spec.clusterIP === undefined && (spec.ports ?? []).length > 0) {
    const ip = addresses.drawIp()
    if (ip !== undefined) {
      spec.clusterIP = ip
      spec.clusterIPs = [ip]
    }
  }
  if (!usesNodePorts(spec)) return
  for (const port of spec.ports ?? []) {
    if (port.nodePort) continue
    const drawn = addresses.drawPort()
    if (drawn !== undefined) port.nodePort = drawn
  }
}

function serviceErrors(service: Service, addresses: ServiceAddresses): Errors {
  const errors: Errors = []
  const spec = service.spec
  if (spec === undefined) return [required('spec')]
  const ports = spec.ports ?? []
  const isHeadless = spec.clusterIP === 'None'
  if (ports.length === 0 && !isHeadless && spec.type !== 'ExternalName') errors.push(required('spec.ports'))
  if (spec.type === 'LoadBalancer' && isHeadless)
    errors.push(invalid('spec.clusterIPs[0]', 'None', "may not be set to 'None' for LoadBalancer services"))
  if (spec.type === 'NodePort' && isHeadless)
    errors.push(invalid('spec.clusterIPs[0]', 'None', "may not be set to 'None' for NodePort services"))
  if (spec.type === 'ExternalName') checkExternalName(errors, spec)
  checkPorts(errors, ports)
  checkLabels(errors, 'spec.selector', spec.selector)
  if (spec.sessionAffinity !== 'None' && spec.sessionAffinity !== 'ClientIP')
    errors.push(notSupported('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None']))
  else if (spec.sessionAffinity === 'ClientIP') {
    const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 0
    if (seconds <= 0 || seconds > maxAffinitySeconds)
      errors.push(
        invalid(
          'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
          seconds,
          `must be greater than 0 and less than ${maxAffinitySeconds}`,
        ),
      )
  }
  if (!types.includes(spec.type ?? '')) errors.push(notSupported('spec.type', spec.type ?? '', types))
  spec.externalIPs?.forEach((ip, index) => {
    if (!isIp(ip))
      errors.push(
        invalid(
          `spec.externalIPs[${index}]`,
          ip,
          'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
      )
  })
  if (spec.clusterIP && !isHeadless && spec.type !== 'ExternalName') {
    if (!isIp(spec.clusterIP))
      errors.push(
        invalid(
          'spec.clusterIPs[0]',
          spec.clusterIP,
          'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        ),
      )
    else {
      const problem = addresses.ipProblem(spec.clusterIP, service)
      if (problem !== undefined) errors.push(invalid('spec.clusterIPs', spec.clusterIPs, problem))
    }
  }
  ports.forEach((port, index) => {
    if (!port.nodePort) return
    const field = `spec.ports[${index}].nodePort`
    if (spec.type === 'ClusterIP') errors.push(forbidden(field, "may not be used when `type` is 'ClusterIP'"))
    else {
      const problem = addresses.portProblem(port.nodePort, service)
      if (problem !== undefined) errors.push(invalid(field, port.nodePort, problem))
    }
  })
  checkTrafficPolicies(errors, spec)
  return errors
}

function checkExternalName(errors: Errors, spec: Spec): void {
  if (spec.clusterIP && spec.clusterIP !== 'None')
    errors.push(forbidden('spec.clusterIPs', "may not be set when `type` is 'ExternalName'"))
  const name = spec.externalName ?? ''
  if (name === '') errors.push(required('spec.externalName'))
  else checkName(errors, 'spec.externalName', name.replace(/\.$/, ''), subdomainProblems)
}

function checkPorts(errors: Errors, ports: readonly ServicePort[]): void {
  const names = new Set<string>()
  const seen = new Set<string>()
  ports.forEach((port, index) => {
    const at = `spec.ports[${index}]`
    if (!port.name) {
      if (ports.length > 1) errors.push(required(`${at}.name`))
    } else {
      checkName(errors, `${at}.name`, port.name, labelProblems)
      if (names.has(port.name)) errors.push(duplicate(`${at}.name`, port.name))
      names.add(port.name)
    }
    checkPort(errors, `${at}.port`, port.port ?? 0)
    if (!protocols.includes(port.protocol ?? ''))
      errors.push(notSupported(`${at}.protocol`, port.protocol ?? '', protocols))
    checkPortReference(errors, `${at}.targetPort`, port.targetPort)
    const key = `${port.protocol}/${port.port}`
    if (seen.has(key)) errors.push(duplicate(at, { protocol: port.protocol, port: port.port }))
    seen.add(key)
  })
}

const trafficPolicies = ['Cluster', 'Local']

function checkTrafficPolicies(errors: Errors, spec: Spec): void {
  const external = spec.externalTrafficPolicy
  if (external !== undefined && !trafficPolicies.includes(external))
    errors.push(notSupported('spec.externalTrafficPolicy', external, trafficPolicies))
  const internal = spec.internalTrafficPolicy
  if (internal !== undefined && !trafficPolicies.includes(internal))
    errors.push(notSupported('spec.internalTrafficPolicy', internal, trafficPolicies))
  if (spec.healthCheckNodePort && (spec.type !== 'LoadBalancer' || external !== 'Local'))
    errors.push(
      invalid(
        'spec.healthCheckNodePort',
        spec.healthCheckNodePort,
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
      ),
    )
  if (spec.allocateLoadBalancerNodePorts !== undefined && spec.type !== 'LoadBalancer')
    errors.push(
      forbidden('spec.allocateLoadBalancerNodePorts', "may only be used when `type` is 'LoadBalancer'"),
    )
}

function serviceUpdateErrors({ spec }: Service, old: Service): Errors {
  const before = old.spec
  if (spec === undefined || before === undefined) return []
  if (before.type === 'ExternalName' || spec.type === 'ExternalName') return []
  if (before.clusterIP && !deepEqual(spec.clusterIPs?.[0], before.clusterIPs?.[0]))
    return [invalid('spec.clusterIPs[0]', spec.clusterIPs ?? [''], 'may not change once set')]
  return []
}
