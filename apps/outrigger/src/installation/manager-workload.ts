import type { Deployment, KubeObject, PodDisruptionBudget } from '@outrigger/kube'
import { installManifests } from '@outrigger/operator'

export interface InstallationOptions {
  readonly namespace: string
  readonly image: string
  readonly replicas: number
  /** Whether the manager replaces pods that overflowed, and may delete pods for it. Default false. */
  readonly replacesOverflowPods?: boolean
  /** Whether the manager evicts pods that were created unasked, and may do so. Default false. */
  readonly evictsMissedPods?: boolean
  /** Whether the manager evicts pods that are to be made anew for a change, and may do so. Default false. */
  readonly recreatesPods?: boolean
}

const name = 'outrigger-manager'
const labels = { 'app.kubernetes.io/name': 'outrigger', 'app.kubernetes.io/component': 'manager' }
const ports = { webhook: 9876, metrics: 8080, health: 8000 } as const

/**
 * Everything a cluster needs, in the order it is applied: definitions, namespace, identity, rights, Service, then the
 * manager itself. Webhook configurations are the manager's own, written once it answers.
 */
export function installation(options: InstallationOptions): KubeObject[] {
  return [
    ...installManifests({
      namespace: options.namespace,
      serviceAccount: name,
      webhookPort: ports.webhook,
      replacesOverflowPods: options.replacesOverflowPods ?? false,
      evictsMissedPods: options.evictsMissedPods ?? false,
      recreatesPods: options.recreatesPods ?? false,
    }),
    disruptionBudget(options),
    managerDeployment(options),
  ]
}

function disruptionBudget({ namespace }: InstallationOptions): PodDisruptionBudget {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: { name, namespace, labels },
    spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
  } as PodDisruptionBudget
}

function managerDeployment({
  namespace,
  image,
  replicas,
  replacesOverflowPods = false,
  evictsMissedPods = false,
  recreatesPods = false,
}: InstallationOptions): Deployment {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace, labels },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      // One more before one less: admission never has fewer replicas than asked for.
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
      template: {
        metadata: { labels },
        spec: {
          serviceAccountName: name,
          // Five seconds of readiness off, five for reviews under way, and some to give the lease back.
          terminationGracePeriodSeconds: 30,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 65_534,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          affinity: spread(),
          containers: [managerContainer(image, { replacesOverflowPods, evictsMissedPods, recreatesPods })],
        },
      },
    },
  } as Deployment
}

/** Replicas apart where there is room, together where there is not. */
function spread() {
  const term = (topologyKey: string, weight: number) => ({
    weight,
    podAffinityTerm: { topologyKey, labelSelector: { matchLabels: labels } },
  })
  return {
    podAntiAffinity: {
      preferredDuringSchedulingIgnoredDuringExecution: [
        term('kubernetes.io/hostname', 100),
        term('topology.kubernetes.io/zone', 50),
      ],
    },
  }
}

function managerContainer(
  image: string,
  {
    replacesOverflowPods,
    evictsMissedPods,
    recreatesPods,
  }: Required<Pick<InstallationOptions, 'replacesOverflowPods' | 'evictsMissedPods' | 'recreatesPods'>>,
) {
  const probe = (path: string, periodSeconds: number, failureThreshold: number) => ({
    httpGet: { path, port: 'health' },
    periodSeconds,
    failureThreshold,
  })
  return {
    name: 'manager',
    image,
    args: [
      'manager',
      `--webhook-port=${ports.webhook}`,
      `--metrics-addr=:${ports.metrics}`,
      `--health-probe-addr=:${ports.health}`,
      ...(replacesOverflowPods ? ['--replace-overflow-pods'] : []),
      ...(evictsMissedPods ? ['--evict-missed-pods'] : []),
      ...(recreatesPods ? ['--recreate-pods'] : []),
    ],
    env: [
      {
        name: 'POD_NAMESPACE',
        valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } },
      },
    ],
    ports: Object.entries(ports).map(([portName, containerPort]) => ({ name: portName, containerPort })),
    readinessProbe: probe('/readyz', 2, 2),
    livenessProbe: { ...probe('/healthz', 10, 3), initialDelaySeconds: 15 },
    resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { memory: '512Mi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
  }
}
