import { StatusError } from '../registry/status-error.ts'
import type { AuthorizationQuestion } from './identity.ts'

/** 403 for a request that nobody allowed, in the words of Kubernetes. `reason` may be empty. */
export function forbiddenRequest(question: AuthorizationQuestion, reason: string): StatusError {
  const why = reason === '' ? '' : `: ${reason}`
  const user = JSON.stringify(question.user.name)
  if (!question.isResourceRequest) {
    return new StatusError({
      code: 403,
      reason: 'Forbidden',
      message: `forbidden: User ${user} cannot ${question.verb} path ${JSON.stringify(question.path)}${why}`,
      details: {},
    })
  }
  const { group, resource, subresource, namespace, name, verb } = question
  const subject = group === '' ? resource : `${resource}.${group}`
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`
  const path = subresource === '' ? resource : `${resource}/${subresource}`
  return new StatusError({
    code: 403,
    reason: 'Forbidden',
    message: `${subject}${name === '' ? '' : ` ${JSON.stringify(name)}`} is forbidden: User ${user} cannot ${verb} resource ${JSON.stringify(path)} in API group ${JSON.stringify(group)} ${where}${why}`,
    details: {
      ...(name === '' ? {} : { name }),
      ...(group === '' ? {} : { group }),
      kind: resource,
    },
  })
}
