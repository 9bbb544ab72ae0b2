import { badRequest } from '../registry/status-error.ts'
import { forbiddenRequest } from './forbidden-request.ts'
import type { AuthorizationQuestion, Authorizer, UserInfo } from './identity.ts'
import { serviceAccountGroups, serviceAccountOf } from './service-account-tokens.ts'

/** Headers as node:http and node:http2 give them: names in lower case. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>

/** The request that is to be made as somebody else. */
export type ImpersonatedRequest = Omit<AuthorizationQuestion, 'user'>

const userHeader = 'impersonate-user'
const groupHeader = 'impersonate-group'
const uidHeader = 'impersonate-uid'
const extraPrefix = 'impersonate-extra-'

/** More impersonated groups or extra values than this are refused. */
const maxValues = 1000

/** Whether the headers ask to act as somebody else. Cheap; true for malformed requests too. */
export function asksForImpersonation(headers: RequestHeaders): boolean {
  if (headers[userHeader] !== undefined || headers[groupHeader] !== undefined) return true
  if (headers[uidHeader] !== undefined) return true
  for (const name in headers) if (name.startsWith(extraPrefix)) return true
  return false
}

/**
 * The user that the Impersonate-* headers name, once `authorizer` lets `user` act as them: by the verb
 * `impersonate` on each thing named, or by the constrained verbs (`impersonate:user-info` and
 * `impersonate-on:user-info:<verb>`) of KEP-5284.
 *
 * @throws StatusError 400 for headers without a user, 403 when not allowed.
 */
export async function impersonate(
  user: UserInfo,
  headers: RequestHeaders,
  request: ImpersonatedRequest,
  authorizer: Authorizer,
): Promise<UserInfo> {
  const target = parseTarget(headers)
  if (await mayImpersonate(user, target, 'impersonate', authorizer)) return completeUser(target)
  const mode = modeOf(target.name)
  const onRequest: AuthorizationQuestion = {
    ...request,
    user,
    verb: `impersonate-on:${mode}:${request.verb}`,
  }
  const answer = await authorizer.authorize(onRequest)
  if (answer.decision !== 'allow') throw forbiddenRequest(onRequest, answer.reason)
  const denied = await firstDenied(user, target, `impersonate:${mode}`, authorizer)
  if (denied !== undefined) throw forbiddenRequest(denied.question, denied.reason)
  return completeUser(target)
}

function parseTarget(headers: RequestHeaders): UserInfo {
  const name = single(headers[userHeader])
  const groups = values(headers[groupHeader])
  const uid = single(headers[uidHeader])
  const extra: Record<string, readonly string[]> = {}
  for (const header of Object.keys(headers)) {
    if (!header.startsWith(extraPrefix)) continue
    extra[decodeKey(header.slice(extraPrefix.length))] = values(headers[header])
  }
  if (name === '') {
    const asked = [
      ...groups.map((group) => `group ${JSON.stringify(group)}`),
      ...Object.keys(extra).map((key) => `extra ${JSON.stringify(key)}`),
      ...(uid === '' ? [] : ['uid']),
    ]
    throw badRequest(`requested [${asked.join(' ')}] without impersonating a user name`)
  }
  if (groups.length > maxValues || Object.keys(extra).length > maxValues)
    throw badRequest('too many impersonated groups or extra values')
  return {
    name,
    ...(uid === '' ? {} : { uid }),
    groups,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  }
}

async function mayImpersonate(
  user: UserInfo,
  target: UserInfo,
  verb: string,
  authorizer: Authorizer,
): Promise<boolean> {
  return (await firstDenied(user, target, verb, authorizer)) === undefined
}

async function firstDenied(
  user: UserInfo,
  target: UserInfo,
  verb: string,
  authorizer: Authorizer,
): Promise<{ readonly question: AuthorizationQuestion; readonly reason: string } | undefined> {
  for (const question of questionsAbout(user, target, verb)) {
    const answer = await authorizer.authorize(question)
    if (answer.decision !== 'allow') return { question, reason: answer.reason }
  }
  return undefined
}

/** One question for each thing that is taken over. */
function questionsAbout(user: UserInfo, target: UserInfo, verb: string): readonly AuthorizationQuestion[] {
  const about = (
    group: string,
    resource: string,
    name: string,
    subresource = '',
    namespace = '',
  ): AuthorizationQuestion => ({
    user,
    verb,
    group,
    version: 'v1',
    resource,
    subresource,
    namespace,
    name,
    path: '',
    isResourceRequest: true,
  })
  const account = serviceAccountOf(target.name)
  const isConstrained = verb !== 'impersonate'
  const identity = isConstrained ? 'authentication.k8s.io' : ''
  return [
    account === undefined
      ? about(
          identity,
          isConstrained && target.name.startsWith('system:node:') ? 'nodes' : 'users',
          target.name,
        )
      : about(identity, 'serviceaccounts', account.name, '', account.namespace),
    ...target.groups.map((group) => about(identity, 'groups', group)),
    ...(target.uid === undefined ? [] : [about('authentication.k8s.io', 'uids', target.uid)]),
    ...Object.entries(target.extra ?? {}).flatMap(([key, texts]) =>
      texts.map((text) => about('authentication.k8s.io', 'userextras', text, key)),
    ),
  ]
}

function modeOf(userName: string): string {
  if (serviceAccountOf(userName) !== undefined) return 'serviceaccount'
  return userName.startsWith('system:node:') ? 'arbitrary-node' : 'user-info'
}

/** Adds the groups that such a user would have had after logging in. */
function completeUser(target: UserInfo): UserInfo {
  if (target.name === 'system:anonymous') {
    return target.groups.includes('system:unauthenticated')
      ? target
      : { ...target, groups: [...target.groups, 'system:unauthenticated'] }
  }
  const account = serviceAccountOf(target.name)
  const groups =
    target.groups.length === 0 && account !== undefined
      ? [...serviceAccountGroups(account.namespace)]
      : [...target.groups]
  const isPlaced = groups.some(
    (group) => group === 'system:authenticated' || group === 'system:unauthenticated',
  )
  return { ...target, groups: isPlaced ? groups : [...groups, 'system:authenticated'] }
}

const single = (value: string | readonly string[] | undefined): string =>
  typeof value === 'string' ? value : (value?.[0] ?? '')

/** node joins repeated headers with a comma and a space. */
function values(value: string | readonly string[] | undefined): readonly string[] {
  if (value === undefined) return []
  const texts = typeof value === 'string' ? value.split(',') : value
  return texts.map((text) => text.trim()).filter((text) => text !== '')
}

function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key)
  } catch {
    return key
  }
}
