import { readFile } from 'node:fs/promises'
import { createSigningRequest, readCertificate } from '@outrigger/certificates'
import type { Client, Credentials } from '@outrigger/client'
import { UserError } from '@outrigger/foundation'
import { type CertificateSigningRequest, isRecord, type SelfSubjectReview } from '@outrigger/kube'

const tokenFile = '/var/run/secrets/kubernetes.io/serviceaccount/token'

export interface OwnUserOptions {
  /** What the client shows the server. */
  readonly credentials?: Credentials
  readonly isInPod: boolean
  readonly signal: AbortSignal
}

/**
 * The user name the cluster knows us by. Servers before 1.28 have no question for it. There a pod reads it from the
 * token of its service account; anybody else sends a certificate signing request that is not kept (a dry run), for
 * the server writes into it who sent it; who may not do that is called what their client certificate says.
 *
 * @throws UserError when none of these tells.
 */
export async function findOwnUser(
  client: Pick<Client, 'raw'>,
  { credentials, isInPod, signal }: OwnUserOptions,
): Promise<string> {
  const answer = await post(client, '/apis/authentication.k8s.io/v1/selfsubjectreviews', signal, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'SelfSubjectReview',
  })
  const review = answer.object as Partial<SelfSubjectReview>
  const name = review.status?.userInfo?.username
  if (name) return name
  if (isInPod) return subjectOf(await readFile(tokenFile, 'utf8'))
  const sender = (await senderOfRequest(client, signal)) ?? nameOf(credentials)
  if (sender) return sender
  throw new UserError(
    `the API server answered ${answer.status} when asked who we are`,
    'check the credentials of the kubeconfig; of a server before 1.28 only who may create certificatesigningrequests or has a client certificate learns it',
  )
}

async function senderOfRequest(
  client: Pick<Client, 'raw'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { request } = await createSigningRequest({ commonName: 'nobody' })
  const { object } = await post(
    client,
    '/apis/certificates.k8s.io/v1/certificatesigningrequests?dryRun=All',
    signal,
    {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { generateName: 'outrigger-asks-who-it-is-' },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: 'kubernetes.io/kube-apiserver-client',
        usages: ['client auth'],
      },
    },
  )
  return (object as Partial<CertificateSigningRequest>).spec?.username
}

/** The object of a creation; empty where it was refused. */
async function post(
  client: Pick<Client, 'raw'>,
  path: string,
  signal: AbortSignal,
  object: object,
): Promise<{ readonly status: number; readonly object: object }> {
  const { status, body } = await client.raw({
    method: 'POST',
    path,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(object),
    signal,
  })
  return { status, object: status === 201 ? JSON.parse(body.toString('utf8')) : {} }
}

function nameOf(credentials: Credentials | undefined): string | undefined {
  const { impersonate, token, clientCertificate } = credentials ?? {}
  if (impersonate !== undefined) return impersonate.user
  // Only of service accounts is the subject the user name; other issuers' users may get a prefix.
  const subject = token === undefined ? undefined : claimedSubject(token)
  if (subject?.startsWith('system:serviceaccount:')) return subject
  return clientCertificate === undefined
    ? undefined
    : readCertificate(clientCertificate.certificate).commonName
}

/** The user name in a service account's token. The token is read, not trusted: only its issuer is misled by a forged one. */
export function subjectOf(token: string): string {
  const subject = claimedSubject(token)
  if (subject !== undefined) return subject
  throw new UserError(
    "the service account's token does not say who we are: it has no subject",
    'let the pod mount a projected token of its service account',
  )
}

/** The `sub` claim; undefined where the token is opaque or has none. */
function claimedSubject(token: string): string | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8'))
    const subject = isRecord(claims) ? claims['sub'] : undefined
    return typeof subject === 'string' && subject !== '' ? subject : undefined
  } catch {
    return undefined
  }
}
