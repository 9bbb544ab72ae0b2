import { readFile } from 'node:fs/promises'
import type { Client } from '@outrigger/client'
import { messageOf, UserError } from '@outrigger/foundation'
import { isRecord, type SelfSubjectReview } from '@outrigger/kube'

const tokenFile = '/var/run/secrets/kubernetes.io/serviceaccount/token'

/**
 * The user name the cluster knows us by. Servers before 1.28 cannot be asked; there the service account's token says
 * it. @throws UserError when neither does.
 */
export async function findOwnUser(
  client: Pick<Client, 'raw'>,
  options: { readonly isInPod: boolean; readonly signal: AbortSignal },
): Promise<string> {
  const answer = await client.raw({
    method: 'POST',
    path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
    signal: options.signal,
  })
  if (answer.status === 201) {
    const review: Partial<SelfSubjectReview> = JSON.parse(answer.body.toString('utf8'))
    const name = review.status?.userInfo?.username
    if (name) return name
  }
  if (!options.isInPod)
    throw new UserError(
      `the API server answered ${answer.status} when asked who we are`,
      'check the credentials of the kubeconfig; servers before 1.28 can only be served from inside a pod',
    )
  return subjectOf(await readFile(tokenFile, 'utf8'))
}

/** The `sub` claim, which for service accounts is the user name. The token is read, not trusted: only its issuer is misled by a forged one. */
export function subjectOf(token: string): string {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    if (isRecord(claims) && typeof claims['sub'] === 'string' && claims['sub'] !== '') return claims['sub']
    throw new Error('it has no subject')
  } catch (error) {
    throw new UserError(
      `the service account's token does not say who we are: ${messageOf(error)}`,
      'let the pod mount a projected token of its service account',
    )
  }
}
