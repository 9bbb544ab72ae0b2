import type { Container, EphemeralContainer, ObjectMeta, PodSpec } from '@outrigger/kube'

export type SecurityLevel = 'privileged' | 'baseline' | 'restricted'

type AnyContainer = Container | EphemeralContainer

/** One rule of the Pod Security Standards; the answer says how a pod breaks it. */
type Rule = (metadata: Partial<ObjectMeta>, spec: PodSpec) => string | undefined

/**
 * How a pod breaks a level of the Pod Security Standards (https://kubernetes.io/docs/concepts/security/pod-security-standards/),
 * one text per rule, in the words of `k8s.io/pod-security-admission`.
 */
export function securityViolations(
  level: SecurityLevel,
  metadata: Partial<ObjectMeta>,
  spec: PodSpec,
): string[] {
  if (level === 'privileged') return []
  const rules = level === 'baseline' ? baseline : restricted
  const violations: string[] = []
  for (const rule of rules) {
    const violation = rule(metadata, spec)
    if (violation !== undefined) violations.push(violation)
  }
  return violations
}

function containersOf(spec: PodSpec): AnyContainer[] {
  return [...(spec.initContainers ?? []), ...(spec.containers ?? []), ...(spec.ephemeralContainers ?? [])]
}

const quoted = (names: readonly string[]) => names.map((name) => JSON.stringify(name)).join(', ')
const containerNames = (names: readonly string[]) =>
  `${names.length === 1 ? 'container' : 'containers'} ${quoted(names)}`

function namesOf(spec: PodSpec, breaks: (container: AnyContainer) => boolean): string[] {
  return containersOf(spec)
    .filter(breaks)
    .map(({ name }) => name)
}

const allowPrivilegeEscalation: Rule = (_, spec) => {
  if (spec.os?.name === 'windows') return undefined
  const names = namesOf(spec, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false)
  if (names.length === 0) return undefined
  return `allowPrivilegeEscalation != false (${containerNames(names)} must set securityContext.allowPrivilegeEscalation=false)`
}

const baselineCapabilities = new Set([
  'AUDIT_WRITE',
  'CHOWN',
  'DAC_OVERRIDE',
  'FOWNER',
  'FSETID',
  'KILL',
  'MKNOD',
  'NET_BIND_SERVICE',
  'SETFCAP',
  'SETGID',
  'SETPCAP',
  'SETUID',
  'SYS_CHROOT',
])

const capabilitiesBaseline: Rule = (_, spec) => {
  const added = new Set<string>()
  const names = namesOf(spec, ({ securityContext }) => {
    const extra = (securityContext?.capabilities?.add ?? []).filter((one) => !baselineCapabilities.has(one))
    for (const one of extra) added.add(one)
    return extra.length > 0
  })
  if (names.length === 0) return undefined
  return `non-default capabilities (${containerNames(names)} must not include ${quoted([...added].sort())} in securityContext.capabilities.add)`
}

const capabilitiesRestricted: Rule = (_, spec) => {
  if (spec.os?.name === 'windows') return undefined
  const undropped = namesOf(
    spec,
    ({ securityContext }) => !securityContext?.capabilities?.drop?.includes('ALL'),
  )
  const added = new Set<string>()
  const adding = namesOf(spec, ({ securityContext }) => {
    const extra = (securityContext?.capabilities?.add ?? []).filter((one) => one !== 'NET_BIND_SERVICE')
    for (const one of extra) added.add(one)
    return extra.length > 0
  })
  const parts: string[] = []
  if (undropped.length > 0)
    parts.push(`${containerNames(undropped)} must set securityContext.capabilities.drop=["ALL"]`)
  if (adding.length > 0)
    parts.push(
      `${containerNames(adding)} must not include ${quoted([...added].sort())} in securityContext.capabilities.add`,
    )
  return parts.length === 0 ? undefined : `unrestricted capabilities (${parts.join('; ')})`
}

const hostNamespaces: Rule = (_, spec) => {
  const used = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((field) => spec[field] === true)
  return used.length === 0
    ? undefined
    : `host namespaces (${used.map((field) => `${field}=true`).join(', ')})`
}

const hostPathVolumes: Rule = (_, spec) => {
  const names = (spec.volumes ?? []).filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => name)
  if (names.length === 0) return undefined
  return `hostPath volumes (${names.length === 1 ? 'volume' : 'volumes'} ${quoted(names)})`
}

const hostPorts: Rule = (_, spec) => {
  const ports = new Set<number>()
  const names = namesOf(spec, (container) => {
    const used = (container.ports ?? []).map(({ hostPort }) => hostPort ?? 0).filter((port) => port !== 0)
    for (const port of used) ports.add(port)
    return used.length > 0
  })
  if (names.length === 0) return undefined
  const list = [...ports].sort((one, other) => one - other).join(', ')
  return `hostPort (${containerNames(names)} ${names.length === 1 ? 'uses' : 'use'} ${ports.size === 1 ? 'hostPort' : 'hostPorts'} ${list})`
}

const privileged: Rule = (_, spec) => {
  const names = namesOf(spec, ({ securityContext }) => securityContext?.privileged === true)
  return names.length === 0
    ? undefined
    : `privileged (${containerNames(names)} must not set securityContext.privileged=true)`
}

const procMount: Rule = (_, spec) => {
  if (spec.hostUsers === false) return undefined
  const types = new Set<string>()
  const names = namesOf(spec, ({ securityContext }) => {
    const type = securityContext?.procMount
    if (type === undefined || type === 'Default') return false
    types.add(type)
    return true
  })
  if (names.length === 0) return undefined
  return `procMount (${containerNames(names)} must not set securityContext.procMount to ${quoted([...types].sort())})`
}

const seLinuxTypes = new Set(['', 'container_t', 'container_init_t', 'container_kvm_t', 'container_engine_t'])

const seLinux: Rule = (_, spec) => {
  const wrong = (options: { type?: string; user?: string; role?: string } | undefined) =>
    options !== undefined &&
    (!seLinuxTypes.has(options.type ?? '') || Boolean(options.user) || Boolean(options.role))
  const names = namesOf(spec, ({ securityContext }) => wrong(securityContext?.seLinuxOptions))
  const setters = [
    ...(wrong(spec.securityContext?.seLinuxOptions) ? ['pod'] : []),
    ...(names.length > 0 ? [containerNames(names)] : []),
  ]
  return setters.length === 0
    ? undefined
    : `seLinuxOptions (${setters.join(' and ')} set forbidden securityContext.seLinuxOptions)`
}

const seccompBaseline: Rule = (_, spec) => {
  const names = namesOf(spec, ({ securityContext }) => securityContext?.seccompProfile?.type === 'Unconfined')
  const setters = [
    ...(spec.securityContext?.seccompProfile?.type === 'Unconfined' ? ['pod'] : []),
    ...(names.length > 0 ? [containerNames(names)] : []),
  ]
  return setters.length === 0
    ? undefined
    : `seccompProfile (${setters.join(' and ')} must not set securityContext.seccompProfile.type to "Unconfined")`
}

const confined = (type: string | undefined) => type === 'RuntimeDefault' || type === 'Localhost'

const seccompRestricted: Rule = (_, spec) => {
  if (spec.os?.name === 'windows') return undefined
  const podType = spec.securityContext?.seccompProfile?.type
  const explicit = namesOf(spec, ({ securityContext }) => {
    const type = securityContext?.seccompProfile?.type
    return type !== undefined && !confined(type)
  })
  const setters = [
    ...(podType !== undefined && !confined(podType) ? ['pod'] : []),
    ...(explicit.length > 0 ? [containerNames(explicit)] : []),
  ]
  if (setters.length > 0)
    return `seccompProfile (${setters.join(' and ')} must not set securityContext.seccompProfile.type to "Unconfined")`
  if (confined(podType)) return undefined
  const silent = namesOf(spec, ({ securityContext }) => securityContext?.seccompProfile?.type === undefined)
  return silent.length === 0
    ? undefined
    : `seccompProfile (pod or ${containerNames(silent)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")`
}

const runAsNonRoot: Rule = (_, spec) => {
  const pod = spec.securityContext?.runAsNonRoot
  const explicit = namesOf(spec, ({ securityContext }) => securityContext?.runAsNonRoot === false)
  const setters = [
    ...(pod === false ? ['pod'] : []),
    ...(explicit.length > 0 ? [containerNames(explicit)] : []),
  ]
  if (setters.length > 0)
    return `runAsNonRoot != true (${setters.join(' and ')} must not set securityContext.runAsNonRoot=false)`
  if (pod === true) return undefined
  const silent = namesOf(spec, ({ securityContext }) => securityContext?.runAsNonRoot === undefined)
  return silent.length === 0
    ? undefined
    : `runAsNonRoot != true (pod or ${containerNames(silent)} must set securityContext.runAsNonRoot=true)`
}

const runAsUser: Rule = (_, spec) => {
  const names = namesOf(spec, ({ securityContext }) => securityContext?.runAsUser === 0)
  const setters = [
    ...(spec.securityContext?.runAsUser === 0 ? ['pod'] : []),
    ...(names.length > 0 ? [containerNames(names)] : []),
  ]
  return setters.length === 0 ? undefined : `runAsUser=0 (${setters.join(' and ')} must not set runAsUser=0)`
}

const restrictedVolumes = new Set([
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
])

const volumeTypes: Rule = (_, spec) => {
  const types = new Set<string>()
  const names: string[] = []
  for (const volume of spec.volumes ?? []) {
    const wrong = Object.keys(volume).filter((field) => field !== 'name' && !restrictedVolumes.has(field))
    for (const type of wrong) types.add(type)
    if (wrong.length > 0) names.push(volume.name)
  }
  if (names.length === 0) return undefined
  const one = names.length === 1
  return `restricted volume types (${one ? 'volume' : 'volumes'} ${quoted(names)} ${one ? 'uses' : 'use'} restricted volume ${types.size === 1 ? 'type' : 'types'} ${quoted([...types].sort())})`
}

const safeSysctls = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.ping_group_range',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_wmem',
])

const sysctls: Rule = (_, spec) => {
  const unsafe = (spec.securityContext?.sysctls ?? [])
    .map(({ name }) => name)
    .filter((name) => !safeSysctls.has(name))
  return unsafe.length === 0 ? undefined : `forbidden sysctls (${unsafe.join(', ')})`
}

const windowsHostProcess: Rule = (_, spec) => {
  const names = namesOf(spec, ({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true)
  const setters = [
    ...(spec.securityContext?.windowsOptions?.hostProcess === true ? ['pod'] : []),
    ...(names.length > 0 ? [containerNames(names)] : []),
  ]
  return setters.length === 0
    ? undefined
    : `hostProcess (${setters.join(' and ')} must not set securityContext.windowsOptions.hostProcess=true)`
}

const appArmor: Rule = (metadata, spec) => {
  const values = new Set<string>()
  for (const key in metadata.annotations)
    if (key.startsWith('container.apparmor.security.beta.kubernetes.io/')) {
      const value = metadata.annotations[key] as string
      if (value !== '' && value !== 'runtime/default' && !value.startsWith('localhost/'))
        values.add(`${key}="${value}"`)
    }
  const names = namesOf(
    spec,
    (container) => (container as Container).securityContext?.appArmorProfile?.type === 'Unconfined',
  )
  const setters = [
    ...(spec.securityContext?.appArmorProfile?.type === 'Unconfined' ? ['pod'] : []),
    ...(names.length > 0 ? [containerNames(names)] : []),
  ]
  const parts = [
    ...(setters.length > 0
      ? [`${setters.join(' and ')} must not set AppArmor profile type to "Unconfined"`]
      : []),
    ...[...values].sort(),
  ]
  return parts.length === 0
    ? undefined
    : `forbidden AppArmor ${parts.length === 1 ? 'profile' : 'profiles'} (${parts.join('; ')})`
}

const baseline: readonly Rule[] = [
  appArmor,
  capabilitiesBaseline,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  privileged,
  procMount,
  seLinux,
  seccompBaseline,
  sysctls,
  windowsHostProcess,
]

const restricted: readonly Rule[] = [
  appArmor,
  hostNamespaces,
  hostPathVolumes,
  hostPorts,
  privileged,
  procMount,
  seLinux,
  sysctls,
  windowsHostProcess,
  allowPrivilegeEscalation,
  capabilitiesRestricted,
  volumeTypes,
  runAsNonRoot,
  runAsUser,
  seccompRestricted,
]
