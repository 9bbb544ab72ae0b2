import { type KubeObject, type PersistentVolume, type Pod, parseKey } from '@outrigger/kube'
import type { Objects } from '../registry/objects.ts'
import { BoundedCache } from './bounded-cache.ts'
import type { AuthorizationAnswer, AuthorizationQuestion, Authorizer, UserInfo } from './identity.ts'
import { serviceAccountNameOf } from './service-account-tokens.ts'

const pods = { group: '', resource: 'pods' } as const
const allow: AuthorizationAnswer = { decision: 'allow', reason: '' }
const noOpinion = (reason: string): AuthorizationAnswer => ({ decision: 'no-opinion', reason })
const readVerbs = new Set(['get', 'list', 'watch'])

/** The node a user is: `system:node:<name>` in the group `system:nodes`. */
export function nodeNameOf(user: UserInfo): string | undefined {
  return user.name.startsWith('system:node:') && user.groups.includes('system:nodes')
    ? user.name.slice('system:node:'.length)
    : undefined
}

/**
 * Gives each node what the pods bound to it need, and nothing of other nodes: their Secrets, ConfigMaps,
 * claims and volumes, tokens of their service accounts, their status; its own Node, Lease and CSINode; events and
 * reviews. What it does not allow is left to RBAC.
 *
 * A grant is proved by one pod, which is remembered: asking again costs one look-up, and asking first costs
 * a pass over the pods of one namespace. Nothing has to be kept current while pods come and go.
 */
export function createNodeAuthorizer(objects: Objects): Authorizer {
  const proofs = new BoundedCache<string, string>(10_000)

  /** Whether some pod of the node mentions `reference`. */
  function isMentioned(node: string, namespace: string, reference: string): boolean {
    const cacheKey = `${node} ${namespace} ${reference}`
    const proof = proofs.get(cacheKey)
    if (proof !== undefined) {
      const pod = objects.get<Pod>(pods, parseKey(proof))
      if (pod?.spec?.nodeName === node && referencesOf(pod).has(reference)) return true
      proofs.delete(cacheKey)
    }
    for (const pod of objects.list<Pod>(pods, namespace)) {
      if (pod.spec?.nodeName !== node || !referencesOf(pod).has(reference)) continue
      proofs.set(cacheKey, `${namespace}/${pod.metadata.name}`)
      return true
    }
    return false
  }

  function authorizeVolume(node: string, question: AuthorizationQuestion): AuthorizationAnswer {
    const volume = objects.get<PersistentVolume>(
      { group: '', resource: 'persistentvolumes' },
      { namespace: '', name: question.name },
    )
    const claim = volume?.spec?.claimRef
    return claim?.namespace !== undefined &&
      claim.name !== undefined &&
      isMentioned(node, claim.namespace, `persistentvolumeclaims/${claim.name}`)
      ? allow
      : noRelation(node, question)
  }

  function authorizePod(node: string, question: AuthorizationQuestion): AuthorizationAnswer {
    const { verb, subresource, namespace, name } = question
    if (subresource === '' && (verb === 'list' || verb === 'watch')) return allow
    if (subresource === '' && verb === 'create') return allow
    const isKnown =
      (subresource === '' && (verb === 'get' || verb === 'delete')) ||
      (subresource === 'status' && (verb === 'update' || verb === 'patch' || verb === 'get')) ||
      (subresource === 'eviction' && verb === 'create')
    if (!isKnown) return noOpinion('')
    const pod = objects.get<Pod>(pods, { namespace, name })
    // A pod that is gone may be asked for: the answer is 404, which the node needs to clean up.
    return pod === undefined || pod.spec?.nodeName === node ? allow : noRelation(node, question)
  }

  return {
    authorize(question) {
      const node = nodeNameOf(question.user)
      if (node === undefined || !question.isResourceRequest) return noOpinion('')
      const { group, resource, subresource, verb, namespace, name } = question
      switch (`${group}/${resource}`) {
        case '/secrets':
        case '/configmaps':
          if (!readVerbs.has(verb) || subresource !== '') return noOpinion('')
          if (name === '' || namespace === '')
            return noOpinion(`can only read namespaced object of this type`)
          return isMentioned(node, namespace, `${resource}/${name}`) ? allow : noRelation(node, question)
        case '/persistentvolumeclaims':
          if (!readsOrWritesStatus(question) || name === '') return noOpinion('')
          return isMentioned(node, namespace, `${resource}/${name}`) ? allow : noRelation(node, question)
        case '/persistentvolumes':
          return verb === 'get' && subresource === '' ? authorizeVolume(node, question) : noOpinion('')
        case '/serviceaccounts':
          if (subresource === '' && verb === 'get')
            return isMentioned(node, namespace, `${resource}/${name}`) ? allow : noRelation(node, question)
          if (subresource !== 'token' || verb !== 'create') return noOpinion('')
          return isMentioned(node, namespace, `${resource}/${name}`) ? allow : noRelation(node, question)
        case '/pods':
          return authorizePod(node, question)
        case '/nodes':
          return authorizeOwn(node, question, ['create', 'get', 'update', 'patch', 'list', 'watch'])
        case 'coordination.k8s.io/leases':
          if (namespace !== 'kube-node-lease' || subresource !== '') return noOpinion('')
          return authorizeOwn(node, question, ['create', 'get', 'update', 'patch', 'delete'])
        case 'storage.k8s.io/csinodes':
          return authorizeOwn(node, question, ['create', 'get', 'update', 'patch', 'delete'])
        default:
          return isPlainRight(question) ? allow : noOpinion('')
      }
    },
  }
}

function authorizeOwn(
  node: string,
  question: AuthorizationQuestion,
  verbs: readonly string[],
): AuthorizationAnswer {
  const { verb, name, subresource } = question
  if (!verbs.includes(verb) || (subresource !== '' && subresource !== 'status')) return noOpinion('')
  // A creation names no object yet, and lists of nodes are filtered by the node itself.
  if (name === '' || name === node) return allow
  return noOpinion(
    `can only access ${question.resource.replace(/s$/, '')} with the same name as the requesting node`,
  )
}

const readsOrWritesStatus = ({ verb, subresource }: AuthorizationQuestion) =>
  (subresource === '' && verb === 'get') ||
  (subresource === 'status' && (verb === 'get' || verb === 'update' || verb === 'patch'))

const noRelation = (node: string, { resource }: AuthorizationQuestion): AuthorizationAnswer =>
  noOpinion(`no relationship found between node '${node}' and this object of ${resource}`)

/** Rights of every node that do not depend on its pods. */
function isPlainRight({ group, resource, subresource, verb }: AuthorizationQuestion): boolean {
  switch (`${group}/${resource}`) {
    case '/events':
    case 'events.k8s.io/events':
      return verb === 'create' || verb === 'patch' || verb === 'update'
    case '/services':
    case 'node.k8s.io/runtimeclasses':
    case 'storage.k8s.io/csidrivers':
      return subresource === '' && readVerbs.has(verb)
    case '/namespaces':
      return subresource === '' && verb === 'get'
    case 'authentication.k8s.io/tokenreviews':
    case 'authorization.k8s.io/subjectaccessreviews':
    case 'authorization.k8s.io/localsubjectaccessreviews':
      return verb === 'create'
    case 'certificates.k8s.io/certificatesigningrequests':
      return subresource === '' && (verb === 'create' || readVerbs.has(verb))
    case 'storage.k8s.io/volumeattachments':
      return verb === 'get'
    default:
      return false
  }
}

const referenceSets = new WeakMap<KubeObject, ReadonlySet<string>>()

/**
 * What a pod mentions by name, as `secrets/x`. References with a slash in their name reach into other namespaces;
 * they are no business of this authorizer, RBAC alone decides about them.
 */
function referencesOf(pod: Pod): ReadonlySet<string> {
  const known = referenceSets.get(pod)
  if (known !== undefined) return known
  const found = new Set<string>()
  const add = (resource: string, name: string | undefined) => {
    if (name !== undefined && name !== '' && !name.includes('/')) found.add(`${resource}/${name}`)
  }
  const spec = pod.spec
  add('serviceaccounts', serviceAccountNameOf(pod))
  for (const secret of spec?.imagePullSecrets ?? []) add('secrets', secret.name)
  for (const container of [
    ...(spec?.containers ?? []),
    ...(spec?.initContainers ?? []),
    ...(spec?.ephemeralContainers ?? []),
  ]) {
    for (const source of container.envFrom ?? []) {
      add('secrets', source.secretRef?.name)
      add('configmaps', source.configMapRef?.name)
    }
    for (const variable of container.env ?? []) {
      add('secrets', variable.valueFrom?.secretKeyRef?.name)
      add('configmaps', variable.valueFrom?.configMapKeyRef?.name)
    }
  }
  for (const volume of spec?.volumes ?? []) {
    add('secrets', volume.secret?.secretName)
    add('configmaps', volume.configMap?.name)
    add('persistentvolumeclaims', volume.persistentVolumeClaim?.claimName)
    if (volume.ephemeral !== undefined) add('persistentvolumeclaims', `${pod.metadata.name}-${volume.name}`)
    add('secrets', volume.csi?.nodePublishSecretRef?.name)
    for (const source of volume.projected?.sources ?? []) {
      add('secrets', source.secret?.name)
      add('configmaps', source.configMap?.name)
    }
  }
  referenceSets.set(pod, found)
  return found
}
