import {
  deepEqual,
  type Namespace,
  type ObjectMeta,
  type Pod,
  type PodSpec,
  resources,
} from '@outrigger/kube'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { forbidden } from '../../registry/status-error.ts'
import type { AdmissionAttributes, AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf } from './attribute-questions.ts'
import { type SecurityLevel, securityViolations } from './pod-security-rules.ts'

const label = 'pod-security.kubernetes.io/'
const levels = new Set<string>(['privileged', 'baseline', 'restricted'])

interface Policy {
  readonly level: SecurityLevel
  readonly version: string
}

/** Holds pods to the Pod Security level their namespace's labels name. Templates of workloads only get warnings. */
export function createPodSecurity({ objects }: KindsEnvironment): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    concerns: ({ operation, namespace, resource, subresource }) =>
      namespace !== '' &&
      (operation === 'CREATE' || operation === 'UPDATE') &&
      (subresource === '' || subresource === 'ephemeralcontainers') &&
      templatePaths[`${resource.group}/${resource.plural}`] !== undefined,
    validate(attributes) {
      const { namespace } = attributes
      const labels = objects.get<Namespace>(resources.namespaces, { namespace: '', name: namespace })
        ?.metadata.labels
      const enforce = policyOf(labels, 'enforce', 'privileged')
      // A namespace that only enforces warns of the same, so that workloads say early what their pods will hit.
      const warn = policyOf(labels, 'warn', enforce.level, enforce.version)
      if (enforce.level === 'privileged' && warn.level === 'privileged') return
      const { resource } = attributes
      const path = templatePaths[`${resource.group}/${resource.plural}`] as readonly string[]
      const subject = below(attributes.object, path)
      if (subject?.spec === undefined) return
      const isPod = path.length === 0
      if (isPod && isIrrelevantUpdate(attributes)) return
      const metadata = subject.metadata ?? {}
      const refusals = isPod ? securityViolations(enforce.level, metadata, subject.spec) : []
      if (refusals.length > 0)
        throw forbidden(
          subjectOf(attributes),
          nameOf(attributes),
          `violates PodSecurity "${enforce.level}:${enforce.version}": ${refusals.join(', ')}`,
        )
      const warnings = securityViolations(warn.level, metadata, subject.spec)
      if (warnings.length > 0)
        attributes.warn(`would violate PodSecurity "${warn.level}:${warn.version}": ${warnings.join(', ')}`)
    },
  }
}

/** Where the pod is in each kind that makes pods, by `group/resource`. */
const templatePaths: Readonly<Record<string, readonly string[]>> = {
  '/pods': [],
  '/podtemplates': ['template'],
  '/replicationcontrollers': ['spec', 'template'],
  'apps/deployments': ['spec', 'template'],
  'apps/replicasets': ['spec', 'template'],
  'apps/statefulsets': ['spec', 'template'],
  'apps/daemonsets': ['spec', 'template'],
  'batch/jobs': ['spec', 'template'],
  'batch/cronjobs': ['spec', 'jobTemplate', 'spec', 'template'],
}

interface PodLike {
  readonly metadata?: Partial<ObjectMeta>
  readonly spec?: PodSpec
}

function below(object: object | undefined, path: readonly string[]): PodLike | undefined {
  let value: unknown = object
  for (const part of path) value = (value as Record<string, unknown> | undefined)?.[part]
  return value as PodLike | undefined
}

function policyOf(
  labels: Readonly<Record<string, string>> | undefined,
  mode: 'enforce' | 'warn',
  fallback: SecurityLevel,
  fallbackVersion = 'latest',
): Policy {
  const level = labels?.[`${label}${mode}`]
  if (level === undefined) return { level: fallback, version: fallbackVersion }
  return {
    // A label nobody understands must not open the door.
    level: levels.has(level) ? (level as SecurityLevel) : 'restricted',
    version: labels?.[`${label}${mode}-version`] ?? 'latest',
  }
}

/** Updates that touch nothing a rule looks at pass, or else old pods could not lose their finalizers. */
function isIrrelevantUpdate({ operation, object, oldObject }: AdmissionAttributes): boolean {
  return operation === 'UPDATE' && deepEqual((object as Pod).spec, (oldObject as Pod | undefined)?.spec)
}
