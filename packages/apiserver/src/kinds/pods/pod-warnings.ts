import type { Affinity, Container, ObjectMeta, PodSpec } from '@outrigger/kube'
import { isWhole } from '../amounts.ts'

const oldNodeLabels: Readonly<Record<string, string>> = {
  'beta.kubernetes.io/arch': 'deprecated since v1.14; use "kubernetes.io/arch" instead',
  'beta.kubernetes.io/os': 'deprecated since v1.14; use "kubernetes.io/os" instead',
  'failure-domain.beta.kubernetes.io/region':
    'deprecated since v1.17; use "topology.kubernetes.io/region" instead',
  'failure-domain.beta.kubernetes.io/zone':
    'deprecated since v1.17; use "topology.kubernetes.io/zone" instead',
  'beta.kubernetes.io/instance-type':
    'deprecated since v1.17; use "node.kubernetes.io/instance-type" instead',
}

/**
 * What a client is to be told about a pod or pod template without refusing it. `path` is where the spec
 * is: `spec` in a pod, `spec.template.spec` in a workload.
 */
export function podWarnings(
  path: string,
  metadataPath: string,
  metadata: Partial<ObjectMeta>,
  spec: PodSpec,
): string[] {
  const warnings: string[] = []
  for (const key in spec.nodeSelector) {
    const text = oldNodeLabels[key]
    if (text !== undefined) warnings.push(`${path}.nodeSelector[${key}]: ${text}`)
  }
  if (metadata.annotations !== undefined) warnOfAnnotations(warnings, metadataPath, metadata.annotations)
  spec.hostAliases?.forEach((alias, index) => {
    if (spec.hostAliases?.slice(0, index).some(({ ip }) => ip === alias.ip))
      warnings.push(
        `${path}.hostAliases[${index}].ip: duplicates previously seen IP (${alias.ip}), only the first will be used`,
      )
  })
  spec.topologySpreadConstraints?.forEach((constraint, index) => {
    if (constraint.labelSelector === undefined)
      warnings.push(`${path}.topologySpreadConstraints[${index}].labelSelector: ${selectsNothing}`)
  })
  if (spec.affinity !== undefined) warnOfAffinity(warnings, `${path}.affinity`, spec.affinity)
  spec.imagePullSecrets?.forEach((secret, index) => {
    if (!secret.name) warnings.push(`${path}.imagePullSecrets[${index}].name: invalid empty name ""`)
  })
  spec.containers?.forEach((container, index) => {
    warnOfContainer(warnings, `${path}.containers[${index}]`, container)
  })
  spec.initContainers?.forEach((container, index) => {
    warnOfContainer(warnings, `${path}.initContainers[${index}]`, container)
  })
  if (spec.terminationGracePeriodSeconds !== undefined && spec.terminationGracePeriodSeconds < 0)
    warnings.push(
      `${path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1`,
    )
  return warnings
}

const selectsNothing = 'a null labelSelector results in matching no pod'

function warnOfAffinity(warnings: string[], path: string, affinity: Affinity): void {
  for (const field of ['podAffinity', 'podAntiAffinity'] as const) {
    const terms = affinity[field]
    terms?.requiredDuringSchedulingIgnoredDuringExecution?.forEach((term, index) => {
      if (term.labelSelector === undefined)
        warnings.push(
          `${path}.${field}.requiredDuringSchedulingIgnoredDuringExecution[${index}].labelSelector: ${selectsNothing}`,
        )
    })
    terms?.preferredDuringSchedulingIgnoredDuringExecution?.forEach((term, index) => {
      if (term.podAffinityTerm?.labelSelector === undefined)
        warnings.push(
          `${path}.${field}.preferredDuringSchedulingIgnoredDuringExecution[${index}].podAffinityTerm.labelSelector: ${selectsNothing}`,
        )
    })
  }
}

function warnOfAnnotations(
  warnings: string[],
  path: string,
  annotations: Readonly<Record<string, string>>,
): void {
  for (const key in annotations) {
    const at = `${path}.annotations[${key}]`
    if (key === 'scheduler.alpha.kubernetes.io/critical-pod')
      warnings.push(`${at}: non-functional in v1.16+; use the "priorityClassName" field instead`)
    else if (key === 'seccomp.security.alpha.kubernetes.io/pod')
      warnings.push(`${at}: non-functional in v1.27+; use the "seccompProfile" field instead`)
    else if (key.startsWith('container.seccomp.security.alpha.kubernetes.io/'))
      warnings.push(`${at}: non-functional in v1.27+; use the "seccompProfile" field instead`)
    else if (key.startsWith('container.apparmor.security.beta.kubernetes.io/'))
      warnings.push(`${at}: deprecated since v1.30; use the "appArmorProfile" field instead`)
  }
}

function warnOfContainer(warnings: string[], at: string, container: Container): void {
  const { resources, env, ports } = container
  for (const field of ['limits', 'requests'] as const)
    for (const name of ['memory', 'ephemeral-storage']) {
      const amount = resources?.[field]?.[name]
      if (amount !== undefined && !isWhole(amount))
        warnings.push(
          `${at}.resources.${field}[${name}]: fractional byte value "${amount}" is invalid, must be an integer`,
        )
    }
  if (env !== undefined && env.length > 1) warnOfHiddenVariables(warnings, at, env)
  ports?.forEach((port, index) => {
    for (let before = 0; before < index; before++) {
      const other = ports[before]
      if (
        other === undefined ||
        other.containerPort !== port.containerPort ||
        other.protocol !== port.protocol
      )
        continue
      if ((other.hostPort ?? 0) !== (port.hostPort ?? 0) || (other.hostIP ?? '') !== (port.hostIP ?? '')) {
        if (other.hostPort || port.hostPort) continue
      }
      warnings.push(`${at}.ports[${index}]: duplicate port definition with ${at}.ports[${before}]`)
      break
    }
  })
}

function warnOfHiddenVariables(warnings: string[], at: string, env: NonNullable<Container['env']>): void {
  const seen = new Map<string, string>()
  env.forEach((variable, index) => {
    const { name, value = '' } = variable
    const before = seen.get(name)
    // A later value that refers to the earlier one (`$(NAME)`) extends it on purpose.
    if (before !== undefined && !value.includes(`$(${name})`))
      warnings.push(
        `${at}.env[${index}]: hides previous definition of "${name}", which may be dropped when using apply`,
      )
    seen.set(name, value)
  })
}
