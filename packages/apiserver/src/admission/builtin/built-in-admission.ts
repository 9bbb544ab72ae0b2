import type { KindsEnvironment } from '../../kinds/environment.ts'
import type { AdmissionPlugin } from '../plugin.ts'
import {
  createDefaultIngressClass,
  createDefaultStorageClass,
  createRuntimeClass,
  storageObjectInUseProtection,
  taintNodesByCondition,
} from './class-defaults.ts'
import { defaultTolerationSeconds } from './default-tolerations.ts'
import { createLimitRanger } from './limit-ranger.ts'
import { createNamespaceLifecycle } from './namespace-lifecycle.ts'
import { createNodeRestriction } from './node-restriction.ts'
import { createPodResize } from './pod-resize.ts'
import { createPodSecurity } from './pod-security.ts'
import { createPriority } from './priority.ts'
import { createResourceQuota } from './resource-quota.ts'
import { createServiceAccount } from './service-account.ts'

/**
 * The admission steps of the server itself, in kube-apiserver's order. Webhooks belong before the last one,
 * ResourceQuota, which books what all others have let through.
 */
export function builtInAdmission(environment: KindsEnvironment): readonly AdmissionPlugin[] {
  return [
    createNamespaceLifecycle(environment),
    createLimitRanger(environment),
    createServiceAccount(environment),
    createNodeRestriction(environment),
    taintNodesByCondition,
    createPodSecurity(environment),
    createPodResize(environment),
    createPriority(environment),
    defaultTolerationSeconds,
    createDefaultStorageClass(environment),
    storageObjectInUseProtection,
    createRuntimeClass(environment),
    createDefaultIngressClass(environment),
    createResourceQuota(environment),
  ]
}
