import { createSigningKey } from '@outrigger/certificates'
import { SeededRandom } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import type { KubeObject, PolicyRule } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import type { AdmissionAttributes } from '../admission/plugin.ts'
import { createAuthentication } from './authentication.ts'
import { createAuthorization } from './authorization.ts'
import { ensureBootstrapRbac } from './bootstrap-rbac.ts'
import { createEscalationCheck } from './escalation.ts'
import { forbiddenRequest } from './forbidden-request.ts'
import type { AuthorizationQuestion, UserInfo } from './identity.ts'
import { impersonate } from './impersonation.ts'
import { MemoryObjects } from './memory-objects.ts'
import { uncoveredRules } from './rbac-rules.ts'
import { createServiceAccountTokens } from './service-account-tokens.ts'

const rbac = (resource: string) => ({ group: 'rbac.authorization.k8s.io', resource })
const core = (resource: string) => ({ group: '', resource })

describe('service account tokens', () => {
  test('die with time, with their account and with the pod they are bound to', async () => {
    const { objects, clock, tokens, authentication } = await aServer()
    const facts = {
      namespace: 'a',
      serviceAccount: { name: 'bot', uid: 'u1' },
      audiences: tokens.audiences,
      expirationSeconds: 600,
    }
    const plain = bearer(tokens.issue(facts).token)
    const bound = bearer(tokens.issue({ ...facts, boundTo: { kind: 'pod', name: 'p', uid: 'p1' } }).token)
    objects.put(core('pods'), object('Pod', 'a', 'p', { uid: 'p1' }))

    expect(await authentication.authenticate(plain)).toMatchObject({
      name: 'system:serviceaccount:a:bot',
      uid: 'u1',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:a', 'system:authenticated'],
    })
    expect(
      (await authentication.authenticate(bound)).extra?.['authentication.kubernetes.io/pod-name'],
    ).toEqual(['p'])

    objects.put(core('pods'), object('Pod', 'a', 'p', { uid: 'p2' }))
    await expect(authentication.authenticate(bound)).rejects.toThrow('Unauthorized')
    await clock.advance(600_000)
    await expect(authentication.authenticate(plain)).rejects.toThrow('Unauthorized')
  })

  test('are refused for other audiences and with a changed signature', async () => {
    const { tokens, authentication } = await aServer()
    const { token } = tokens.issue({
      namespace: 'a',
      serviceAccount: { name: 'bot', uid: 'u1' },
      audiences: ['vault'],
      expirationSeconds: 600,
    })

    await expect(authentication.authenticate(bearer(token))).rejects.toThrow('Unauthorized')
    expect(await authentication.reviewToken(token, ['vault'])).toMatchObject({ audiences: ['vault'] })
    const [head, body] = token.split('.')
    expect(await authentication.reviewToken(`${head}.${body}.AAAA`, ['vault'])).toHaveProperty('refused')
  })
})

describe('authentication', () => {
  test('knows static tokens, certificates and nobody', async () => {
    const { authentication } = await aServer()

    expect(await authentication.authenticate(bearer('root-token'))).toEqual({
      name: 'root',
      groups: ['system:masters', 'system:authenticated'],
    })
    expect(
      await authentication.authenticate({
        authorization: undefined,
        certificate: { commonName: 'system:node:n', organizations: ['system:nodes'] },
      }),
    ).toEqual({ name: 'system:node:n', groups: ['system:nodes', 'system:authenticated'] })
    expect(
      (await authentication.authenticate({ authorization: undefined, certificate: undefined })).name,
    ).toBe('system:anonymous')
    await expect(authentication.authenticate(bearer('wrong'))).rejects.toThrow('Unauthorized')
  })
})

describe('RBAC', () => {
  test('grants exactly what a binding gives, as soon as it is there', async () => {
    const { objects, authorization } = await aServer()
    const bot = aUser('system:serviceaccount:a:bot')
    objects.put(
      rbac('roles'),
      aRole('Role', 'a', 'r', [
        { apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list'] },
        { apiGroups: [''], resources: ['secrets'], resourceNames: ['one'], verbs: ['get'] },
        { apiGroups: ['apps'], resources: ['deployments/scale'], verbs: ['*'] },
      ]),
    )
    const ask = (over: Partial<AuthorizationQuestion>) =>
      authorization.authorize({ ...aQuestion(bot), namespace: 'a', ...over }).decision

    expect(ask({ resource: 'configmaps' })).toBe('no-opinion')
    objects.put(
      rbac('rolebindings'),
      aBinding('RoleBinding', 'a', 'b', 'Role', 'r', [
        { kind: 'ServiceAccount', name: 'bot', namespace: 'a' },
      ]),
    )

    expect(ask({ resource: 'configmaps' })).toBe('allow')
    expect(ask({ resource: 'configmaps', namespace: 'b' })).toBe('no-opinion')
    expect(ask({ resource: 'secrets', name: 'one' })).toBe('allow')
    expect(ask({ resource: 'secrets', name: 'two' })).toBe('no-opinion')
    expect(ask({ resource: 'secrets', verb: 'list' })).toBe('no-opinion')
    expect(ask({ group: 'apps', resource: 'deployments', subresource: 'scale', verb: 'patch' })).toBe('allow')
    expect(ask({ group: 'apps', resource: 'deployments' })).toBe('no-opinion')
  })

  test('names a role that a binding points to in vain', async () => {
    const { objects, authorization } = await aServer()
    objects.put(
      rbac('clusterrolebindings'),
      aBinding('ClusterRoleBinding', '', 'b', 'ClusterRole', 'gone', [{ kind: 'User', name: 'jo' }]),
    )

    const question = aQuestion(aUser('jo'))
    const answer = authorization.authorize(question)

    expect(forbiddenRequest(question, answer.reason).message).toBe(
      'pods is forbidden: User "jo" cannot get resource "pods" in API group "" at the cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
    )
  })

  test('puts the default roles together from their parts', async () => {
    const { objects, authorization } = await aServer()
    await ensureBootstrapRbac(objects)
    const before = objects.changes(rbac('clusterroles'))
    await ensureBootstrapRbac(objects)
    objects.put(
      rbac('rolebindings'),
      aBinding('RoleBinding', 'a', 'b', 'ClusterRole', 'admin', [{ kind: 'User', name: 'jo' }]),
    )
    objects.put(
      rbac('rolebindings'),
      aBinding('RoleBinding', 'a', 'v', 'ClusterRole', 'view', [{ kind: 'User', name: 'vi' }]),
    )
    const ask = (name: string, over: Partial<AuthorizationQuestion>) =>
      authorization.authorize({ ...aQuestion(aUser(name)), namespace: 'a', ...over }).decision

    expect(objects.changes(rbac('clusterroles'))).toBe(before)
    expect(ask('jo', { group: 'rbac.authorization.k8s.io', resource: 'roles', verb: 'create' })).toBe('allow')
    expect(ask('jo', { resource: 'pods', verb: 'create' })).toBe('allow')
    expect(ask('vi', { resource: 'pods', subresource: 'log' })).toBe('allow')
    expect(ask('vi', { resource: 'secrets' })).toBe('no-opinion')
    expect(
      authorization.authorize({ ...aQuestion(aUser('vi')), path: '/version', isResourceRequest: false })
        .decision,
    ).toBe('allow')

    objects.put(rbac('clusterroles'), {
      ...aRole('ClusterRole', '', 'extra', [{ apiGroups: ['x'], resources: ['things'], verbs: ['get'] }]),
      metadata: { name: 'extra', labels: { 'rbac.authorization.k8s.io/aggregate-to-view': 'true' } },
    })
    expect(ask('jo', { group: 'x', resource: 'things' })).toBe('allow')
  })

  test('covers rules only by rules that are at least as wide', () => {
    const rule = (over: Partial<PolicyRule>): PolicyRule => ({
      apiGroups: [''],
      resources: ['pods'],
      verbs: ['get'],
      ...over,
    })

    expect(uncoveredRules([rule({ verbs: ['*'] })], [rule({ verbs: ['get', 'list'] })])).toEqual([])
    expect(uncoveredRules([rule({ resourceNames: ['a'] })], [rule({})])).toHaveLength(1)
    expect(uncoveredRules([rule({ resources: ['*'] })], [rule({ resources: ['pods/exec'] })])).toEqual([])
    expect(
      uncoveredRules([rule({ resources: ['pods'] })], [rule({ resources: ['pods/exec'] })]),
    ).toHaveLength(1)
  })
})

describe('escalation', () => {
  test('lets nobody give away what they do not have', async () => {
    const { objects, authorization } = await aServer()
    await ensureBootstrapRbac(objects)
    objects.put(
      rbac('rolebindings'),
      aBinding('RoleBinding', 'a', 'b', 'ClusterRole', 'admin', [{ kind: 'User', name: 'jo' }]),
    )
    const check = createEscalationCheck(authorization)
    const create = (rules: PolicyRule[]) => {
      const role = aRole('Role', 'a', 'r', rules)
      return () => check.validate?.(anAdmission(role, 'roles', aUser('jo')), new AbortController().signal)
    }

    expect(create([{ apiGroups: [''], resources: ['pods'], verbs: ['get', 'create'] }])).not.toThrow()
    expect(create([{ apiGroups: [''], resources: ['nodes'], verbs: ['get'] }])).toThrow(
      'roles.rbac.authorization.k8s.io "r" is forbidden: user "jo" (groups=["system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}',
    )
  })
})

describe('nodes', () => {
  test('read the secrets of their own pods and no others', async () => {
    const { objects, authorization } = await aServer()
    const node: UserInfo = { name: 'system:node:n1', groups: ['system:nodes', 'system:authenticated'] }
    const pod = (name: string, nodeName: string, secretName: string) =>
      ({
        ...object('Pod', 'a', name),
        spec: { nodeName, volumes: [{ name: 'v', secret: { secretName } }] },
      }) as KubeObject
    objects.put(core('pods'), pod('p1', 'n1', 'mine'))
    objects.put(core('pods'), pod('p2', 'n2', 'theirs'))
    objects.put(core('pods'), pod('p3', 'n1', 'other-namespace/stolen'))
    const ask = (over: Partial<AuthorizationQuestion>) =>
      authorization.authorize({ ...aQuestion(node), namespace: 'a', resource: 'secrets', ...over }).decision

    expect(ask({ name: 'mine' })).toBe('allow')
    expect(ask({ name: 'theirs' })).toBe('no-opinion')
    expect(ask({ name: 'stolen', namespace: 'other-namespace' })).toBe('no-opinion')
    expect(ask({ verb: 'list' })).toBe('no-opinion')
    expect(ask({ resource: 'pods', subresource: 'status', name: 'p1', verb: 'patch' })).toBe('allow')
    expect(ask({ resource: 'pods', subresource: 'status', name: 'p2', verb: 'patch' })).toBe('no-opinion')
    expect(ask({ resource: 'nodes', namespace: '', subresource: 'status', name: 'n2', verb: 'patch' })).toBe(
      'no-opinion',
    )
    expect(ask({ resource: 'serviceaccounts', subresource: 'token', name: 'default', verb: 'create' })).toBe(
      'allow',
    )

    objects.remove(core('pods'), { namespace: 'a', name: 'p1' })
    expect(ask({ name: 'mine' })).toBe('no-opinion')
  })
})

describe('impersonation', () => {
  const request = { ...aQuestion(aUser('')), verb: 'list', namespace: 'a' }

  test('turns a master into the named user with the groups of somebody logged in', async () => {
    const { authorization } = await aServer()
    const headers = {
      'impersonate-user': 'jo',
      'impersonate-group': 'crew',
      'impersonate-extra-reason': 'test',
    }
    const master: UserInfo = { name: 'root', groups: ['system:masters'] }

    expect(await impersonate(master, headers, request, authorization)).toEqual({
      name: 'jo',
      groups: ['crew', 'system:authenticated'],
      extra: { reason: ['test'] },
    })
    await expect(
      impersonate(master, { 'impersonate-group': 'crew' }, request, authorization),
    ).rejects.toMatchObject({
      code: 400,
    })
  })

  test('needs the right to', async () => {
    const { authorization } = await aServer()

    await expect(
      impersonate(aUser('bot'), { 'impersonate-user': 'jo' }, request, authorization),
    ).rejects.toThrow(
      'pods is forbidden: User "bot" cannot impersonate-on:user-info:list resource "pods" in API group "" in the namespace "a"',
    )
  })
})

async function aServer() {
  const clock = new ManualClock()
  const objects = new MemoryObjects()
  objects.put(core('serviceaccounts'), object('ServiceAccount', 'a', 'bot', { uid: 'u1' }))
  const tokens = createServiceAccountTokens({
    objects,
    key: await createSigningKey(),
    issuer: 'https://outrigger.example',
    clock,
    random: new SeededRandom(),
  })
  const authentication = createAuthentication({
    staticTokens: [{ token: 'root-token', user: { name: 'root', groups: ['system:masters'] } }],
    serviceAccountTokens: tokens,
  })
  return { clock, objects, tokens, authentication, authorization: createAuthorization({ objects }) }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}`, certificate: undefined })
const aUser = (name: string): UserInfo => ({ name, groups: ['system:authenticated'] })

function object(kind: string, namespace: string, name: string, metadata = {}): KubeObject {
  return { apiVersion: 'v1', kind, metadata: { name, namespace, ...metadata } }
}

function aRole(
  kind: string,
  namespace: string,
  name: string,
  rules: PolicyRule[],
): KubeObject & { rules: PolicyRule[] } {
  return { ...object(kind, namespace, name), rules }
}

function aBinding(
  kind: string,
  namespace: string,
  name: string,
  roleKind: string,
  role: string,
  subjects: object[],
) {
  return { ...object(kind, namespace, name), roleRef: { apiGroup: '', kind: roleKind, name: role }, subjects }
}

function aQuestion(user: UserInfo): AuthorizationQuestion {
  return {
    user,
    verb: 'get',
    group: '',
    version: 'v1',
    resource: 'pods',
    subresource: '',
    namespace: '',
    name: '',
    path: '',
    isResourceRequest: true,
  }
}

function anAdmission(role: KubeObject, plural: string, user: UserInfo): AdmissionAttributes {
  return {
    operation: 'CREATE',
    resource: {
      group: 'rbac.authorization.k8s.io',
      plural,
      kind: role.kind,
    } as AdmissionAttributes['resource'],
    subresource: '',
    namespace: role.metadata.namespace ?? '',
    name: role.metadata.name,
    object: role,
    oldObject: undefined,
    options: {},
    isDryRun: false,
    user,
    warn() {},
  }
}
