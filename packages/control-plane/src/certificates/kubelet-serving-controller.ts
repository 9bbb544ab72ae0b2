import { type Client, isConflict, isNotFound } from '@outrigger/client'
import {
  createController,
  type Informer,
  lookAgain,
  type Outcome,
  waitForChange,
} from '@outrigger/controller'
import {
  type Clock,
  formatTime,
  type Logger,
  messageOf,
  parseTime,
  type Random,
  type Runnable,
} from '@outrigger/foundation'
import type { CertificateSigningRequest, Node, ResourceRef, SubjectAccessReview } from '@outrigger/kube'
import type { CertificateSigner, RequestedNames } from './certificate-signer.ts'
import {
  foreignName,
  hasVerdict,
  isAskedByNode,
  kubeletServingSigner,
  lifetime,
  requestedNode,
  servingProblem,
} from './kubelet-serving.ts'

/** Where requests for certificates are kept. */
export const signingRequests: ResourceRef = {
  group: 'certificates.k8s.io',
  version: 'v1',
  resource: 'certificatesigningrequests',
  kind: 'CertificateSigningRequest',
  namespaced: false,
}

const accessReviews: ResourceRef = {
  group: 'authorization.k8s.io',
  version: 'v1',
  resource: 'subjectaccessreviews',
  kind: 'SubjectAccessReview',
  namespaced: false,
}

/** Milliseconds between the first looks at a request whose node has not registered with these addresses yet. */
const nodePatience = 2_000
const yearSeconds = 365 * 24 * 60 * 60

export interface KubeletServingOptions {
  readonly client: Client
  /** Those of the signer `kubernetes.io/kubelet-serving`; others are ignored. */
  readonly requests: Informer<CertificateSigningRequest>
  readonly nodes: Informer<Node>
  readonly signer: CertificateSigner
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/**
 * Approves and signs the serving certificates of kubelets, and removes requests that are over.
 *
 * Approves only where every name asked for is an address of the node named, and the requester is that node,
 * or may approve requests of this signer anyway. A request somebody else approved is signed too, if the signer's
 * rules allow it. Nothing is denied: what is not approved here waits for a person.
 */
export function createKubeletServingController(options: KubeletServingOptions): Runnable {
  const { requests, nodes, clock, random, logger } = options
  return createController({
    name: 'kubelet-serving-certificates',
    clock,
    random,
    logger,
    informers: [requests, nodes],
    sources: [
      (enqueue) => {
        const look = (request: CertificateSigningRequest) => enqueue(request.metadata.name)
        return requests.onChange({ onAdd: look, onUpdate: look })
      },
    ],
    reconcile: (name, signal) => reconcileRequest(options, name, signal),
  })
}

async function reconcileRequest(
  options: KubeletServingOptions,
  name: string,
  signal: AbortSignal,
): Promise<Outcome> {
  const { client, requests, clock } = options
  const request = requests.store.get(name)
  if (request?.spec.signerName !== kubeletServingSigner) return waitForChange
  const age = clock.now() - parseTime(request.metadata.creationTimestamp ?? '')
  const left = lifetime(request) - age
  if (left <= 0) {
    await client
      .delete(
        signingRequests,
        { namespace: '', name },
        { preconditions: { uid: request.metadata.uid ?? '' }, signal },
      )
      .catch(ignoreRace)
    return waitForChange
  }
  if (request.status?.certificate !== undefined || hasVerdict(request, 'Denied')) return lookAgain(left)
  if (hasVerdict(request, 'Failed')) return lookAgain(left)
  const pause = await answer(options, request, age, signal).catch((error: unknown) => {
    ignoreRace(error)
    return undefined
  })
  return lookAgain(Math.min(left, pause ?? left))
}

/** Takes one step; answers with the milliseconds after which it is worth another look. */
async function answer(
  options: KubeletServingOptions,
  request: CertificateSigningRequest,
  age: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const { signer } = options
  const isApproved = hasVerdict(request, 'Approved')
  const pem = decodePem(request.spec.request)
  let names: RequestedNames
  try {
    names = await signer.read(pem)
  } catch (error) {
    return isApproved ? fail(options, request, messageOf(error), signal) : undefined
  }
  const problem = servingProblem(request, names)
  if (!isApproved) {
    if (problem !== undefined) return undefined
    const node = options.nodes.store.get(requestedNode(names) ?? '')
    if (node === undefined || foreignName(names, node) !== undefined) {
      // Likely within moments of the request, ever less likely later.
      return Math.max(nodePatience, age / 4)
    }
    if (!isAskedByNode(request, names) && !(await mayApprove(options, request, signal))) return undefined
    return approve(options, request, signal)
  }
  if (problem !== undefined) return fail(options, request, problem, signal)
  const seconds = Math.min(request.spec.expirationSeconds ?? yearSeconds, yearSeconds)
  const certificate = await signer.sign(pem, seconds)
  const signed = { ...request, status: { ...request.status, certificate: btoa(certificate) } }
  await options.client.update<CertificateSigningRequest>(signingRequests, signed, {
    subresource: 'status',
    signal,
  })
  options.logger.info('signed the serving certificate of a kubelet', {
    request: request.metadata.name,
    node: requestedNode(names) ?? '',
  })
  return undefined
}

async function approve(
  { client, clock }: KubeletServingOptions,
  request: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<undefined> {
  const approved = withCondition(request, {
    type: 'Approved',
    reason: 'AutoApproved',
    message: 'Auto approving kubelet serving certificate: its names are addresses of the node.',
    now: clock.now(),
  })
  const answer = await client.raw({
    method: 'PUT',
    path: `/apis/certificates.k8s.io/v1/certificatesigningrequests/${encodeURIComponent(request.metadata.name)}/approval`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(approved),
    signal,
  })
  const isSettled = answer.status < 400 || answer.status === 404 || answer.status === 409
  if (!isSettled) throw new Error(`the approval was answered with status ${answer.status}`)
}

async function fail(
  { client, clock }: KubeletServingOptions,
  request: CertificateSigningRequest,
  message: string,
  signal: AbortSignal,
): Promise<undefined> {
  const failed = withCondition(request, {
    type: 'Failed',
    reason: 'SignerValidationFailure',
    message,
    now: clock.now(),
  })
  await client.update<CertificateSigningRequest>(signingRequests, failed, { subresource: 'status', signal })
}

/** Whether the requester could approve the request as well: then its word is enough. */
async function mayApprove(
  { client }: KubeletServingOptions,
  { spec }: CertificateSigningRequest,
  signal: AbortSignal,
): Promise<boolean> {
  const review = await client.create<SubjectAccessReview>(
    accessReviews,
    {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SubjectAccessReview',
      metadata: {},
      spec: {
        user: spec.username ?? '',
        groups: spec.groups ?? [],
        ...(spec.uid !== undefined && { uid: spec.uid }),
        ...(spec.extra !== undefined && { extra: spec.extra }),
        resourceAttributes: {
          group: 'certificates.k8s.io',
          resource: 'signers',
          name: kubeletServingSigner,
          verb: 'approve',
        },
      },
    },
    { signal },
  )
  return review.status?.allowed === true
}

interface Verdict {
  readonly type: 'Approved' | 'Failed'
  readonly reason: string
  readonly message: string
  readonly now: number
}

function withCondition(
  request: CertificateSigningRequest,
  { type, reason, message, now }: Verdict,
): CertificateSigningRequest {
  const time = formatTime(now)
  const condition = { type, status: 'True', reason, message, lastUpdateTime: time, lastTransitionTime: time }
  return {
    ...request,
    status: { ...request.status, conditions: [...(request.status?.conditions ?? []), condition] },
  }
}

/** What is no base64 reads as no request. */
function decodePem(text: string): string {
  try {
    return atob(text)
  } catch {
    return ''
  }
}

/** Somebody was quicker, and the change wakes us again. */
function ignoreRace(error: unknown): void {
  if (!isNotFound(error) && !isConflict(error)) throw error
}
