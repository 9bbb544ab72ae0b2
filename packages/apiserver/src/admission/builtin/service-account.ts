import { type Container, type Pod, resources, type ServiceAccount } from '@outrigger/kube'
import type { KindsEnvironment } from '../../kinds/environment.ts'
import { forbidden } from '../../registry/status-error.ts'
import type { AdmissionPlugin } from '../plugin.ts'
import { nameOf, subjectOf, writes } from './attribute-questions.ts'

const mountPath = '/var/run/secrets/kubernetes.io/serviceaccount'
const mirrorAnnotation = 'kubernetes.io/config.mirror'
const retries = 10
const retryInterval = 100
/** As long as the token lives, plus seven seconds so that it is not mistaken for one asked for by hand. */
const tokenSeconds = 3607

/**
 * Gives pods their service account, its pull secrets, and a projected volume with its token. A namespace gets
 * its `default` account a moment after it is made, so a missing one is waited for, a second at most.
 */
export function createServiceAccount({ objects, clock, random }: KindsEnvironment): AdmissionPlugin {
  const find = async (namespace: string, name: string, signal: AbortSignal) => {
    const attempts = name === 'default' ? retries : 1
    for (let attempt = 1; ; attempt++) {
      const account = objects.get<ServiceAccount>(resources.serviceAccounts, { namespace, name })
      if (account !== undefined || attempt >= attempts) return account
      await clock.sleep(retryInterval, signal)
    }
  }
  return {
    name: 'ServiceAccount',
    concerns: (attributes) => writes(attributes, '', 'pods', 'CREATE'),
    async mutate(attributes, signal) {
      const pod = attributes.object as Pod
      const { spec } = pod
      if (spec === undefined || pod.metadata.annotations?.[mirrorAnnotation] !== undefined) return
      const name = spec.serviceAccountName || 'default'
      spec.serviceAccountName = name
      spec.serviceAccount = name
      const { namespace } = attributes
      const account = await find(namespace, name, signal)
      if (account === undefined)
        throw forbidden(
          subjectOf(attributes),
          nameOf(attributes),
          `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`,
        )
      const mounts = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true
      if (mounts) mountToken(spec, () => `kube-api-access-${random.suffix(5)}`)
      if ((spec.imagePullSecrets ?? []).length === 0 && (account.imagePullSecrets ?? []).length > 0)
        spec.imagePullSecrets = account.imagePullSecrets?.map((secret) => ({ ...secret })) ?? []
    },
  }
}

function mountToken(spec: NonNullable<Pod['spec']>, drawName: () => string): void {
  const lacking = [...(spec.initContainers ?? []), ...(spec.containers ?? [])].filter(
    ({ volumeMounts }) => !volumeMounts?.some((mount) => mount.mountPath === mountPath),
  )
  if (lacking.length === 0) return
  const volumes = spec.volumes ?? []
  const existing = volumes.find(({ name }) => name.startsWith('kube-api-access-'))
  const name = existing?.name ?? drawName()
  for (const container of lacking) addMount(container, name)
  if (existing === undefined) spec.volumes = [...volumes, tokenVolume(name)]
}

function addMount(container: Container, name: string): void {
  container.volumeMounts = [...(container.volumeMounts ?? []), { name, readOnly: true, mountPath }]
}

function tokenVolume(name: string): NonNullable<NonNullable<Pod['spec']>['volumes']>[number] {
  return {
    name,
    projected: {
      sources: [
        { serviceAccountToken: { expirationSeconds: tokenSeconds, path: 'token' } },
        { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
        {
          downwardAPI: {
            items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
          },
        },
      ],
      defaultMode: 0o644,
    },
  }
}
