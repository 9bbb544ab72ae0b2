import type { Objects } from '../registry/objects.ts'
import { BoundedCache } from './bounded-cache.ts'
import type { AuthorizationAnswer, AuthorizationQuestion, Authorizer, UserInfo } from './identity.ts'
import { createNodeAuthorizer } from './node-authorizer.ts'
import { createRbac, type Rbac } from './rbac.ts'

export interface AuthorizationOptions {
  readonly objects: Objects
  /**
   * `rbac` decides by roles and by what a node needs. `always-allow` lets everybody who was
   * authenticated do everything. Defaults to `rbac`.
   */
  readonly mode?: 'rbac' | 'always-allow'
}

export interface Authorization extends Authorizer {
  authorize(question: AuthorizationQuestion): AuthorizationAnswer
  readonly rbac: Rbac
}

const masters: AuthorizationAnswer = { decision: 'allow', reason: '' }

/**
 * The authorizers in order: the group `system:masters`, nodes, RBAC. Answers of RBAC are remembered until
 * a role or binding changes, at most 8192 of them.
 */
export function createAuthorization(options: AuthorizationOptions): Authorization {
  const rbac = createRbac(options.objects)
  const nodes = createNodeAuthorizer(options.objects)
  const answers = new BoundedCache<string, AuthorizationAnswer>(8192)
  let answersFrom = -1

  function askRbac(question: AuthorizationQuestion): AuthorizationAnswer {
    const generation = rbac.generation()
    if (generation !== answersFrom) {
      answers.clear()
      answersFrom = generation
    }
    const key = keyOfQuestion(question)
    const known = answers.get(key)
    if (known !== undefined) return known
    const answer = rbac.authorize(question)
    answers.set(key, answer)
    return answer
  }

  return {
    rbac,
    authorize(question) {
      if (question.user.groups.includes('system:masters') || options.mode === 'always-allow') return masters
      const byNode = nodes.authorize(question) as AuthorizationAnswer
      if (byNode.decision === 'allow') return byNode
      const byRole = askRbac(question)
      if (byRole.decision === 'allow' || byNode.reason === '') return byRole
      return {
        decision: byRole.decision,
        reason: byRole.reason === '' ? byNode.reason : `${byNode.reason}, ${byRole.reason}`,
      }
    },
  }
}

const userKeys = new WeakMap<UserInfo, string>()

function keyOfQuestion(question: AuthorizationQuestion): string {
  const { user, verb, group, resource, subresource, namespace, name, path } = question
  let who = userKeys.get(user)
  if (who === undefined) {
    who = JSON.stringify([user.name, ...user.groups])
    userKeys.set(user, who)
  }
  return question.isResourceRequest
    ? `${who} ${verb} ${group}/${resource}/${subresource} ${namespace} ${name}`
    : `${who} ${verb} ${path}`
}
