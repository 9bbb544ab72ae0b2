import { formatTime } from '@outrigger/foundation'
import { type ObjectKey, type Pod, type PodDisruptionBudget, resources } from '@outrigger/kube'
import type { Subresource } from '../../registry/resource.ts'
import { badRequest, conflict, internalError, notFound, StatusError } from '../../registry/status-error.ts'
import type { KindsEnvironment } from '../environment.ts'
import { selectorFits } from '../field-checks.ts'
import { knownSchema } from '../known-schema.ts'

interface DeleteOptions {
  readonly gracePeriodSeconds?: number
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
  readonly dryRun?: readonly string[]
}

/** `pods/eviction`: a deletion that asks the pod's disruption budgets first. */
export function createEviction(environment: KindsEnvironment): Subresource {
  return {
    type: 'action',
    group: 'policy',
    version: 'v1',
    kind: 'Eviction',
    schema: knownSchema('policy', 'v1', 'Eviction'),
    async perform({ key, body, isDryRun, context }) {
      if ((body.metadata?.name ?? '') !== key.name)
        throw badRequest('name in URL does not match name in Eviction object')
      const options = ((body as { deleteOptions?: DeleteOptions }).deleteOptions ?? {}) as DeleteOptions
      const pod = environment.objects.get<Pod>(resources.pods, key)
      if (pod === undefined) throw notFound({ group: '', resource: 'pods' }, key.name)
      checkPreconditions(pod, options)
      const isDry = isDryRun || options.dryRun?.includes('All') === true
      if (!mayGoUnasked(pod)) await askBudget(environment, pod, isDry, context.now)
      await deletePod(environment, key, options, isDry)
      return {
        code: 201,
        object: { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 },
      }
    },
  }
}

function checkPreconditions(pod: Pod, { preconditions }: DeleteOptions): void {
  const { uid, resourceVersion, name = '' } = pod.metadata
  const subject = { group: '', resource: 'Pod' }
  if (preconditions?.uid !== undefined && preconditions.uid !== uid)
    throw conflict(
      subject,
      name,
      `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${uid}). The object might have been deleted and then recreated`,
    )
  if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== resourceVersion)
    throw conflict(
      subject,
      name,
      `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${resourceVersion}). The object might have been modified`,
    )
}

/** Pods that do no work disrupt nobody: over, not yet started, or leaving already. */
function mayGoUnasked(pod: Pod): boolean {
  const phase = pod.status?.phase
  return (
    phase === 'Succeeded' ||
    phase === 'Failed' ||
    phase === 'Pending' ||
    pod.metadata.deletionTimestamp !== undefined
  )
}

const isReady = (pod: Pod) =>
  pod.status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true

async function askBudget(
  environment: KindsEnvironment,
  pod: Pod,
  isDryRun: boolean,
  now: number,
): Promise<void> {
  const { namespace = '', name = '', labels } = pod.metadata
  const budgets = [
    ...environment.objects.list<PodDisruptionBudget>(resources.podDisruptionBudgets, namespace),
  ].filter(({ spec }) => selectorFits(spec?.selector, labels))
  if (budgets.length === 0) return
  const [budget] = budgets
  if (budgets.length > 1 || budget === undefined)
    throw internalError(
      'This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.',
    )
  if (!isReady(pod)) {
    const policy = budget.spec?.unhealthyPodEvictionPolicy
    const { currentHealthy = 0, desiredHealthy = 0 } = budget.status ?? {}
    if (policy === 'AlwaysAllow' || (currentHealthy >= desiredHealthy && desiredHealthy > 0)) return
  }
  if (isDryRun) {
    spend(budget, name, now)
    return
  }
  const key = { namespace, name: budget.metadata.name ?? '' }
  await environment.objects.write<PodDisruptionBudget>(resources.podDisruptionBudgets, key, (current) => {
    if (current === undefined) return undefined
    current.status = spend(current, name, now)
    return current
  })
}

/** The budget's status with one more disruption in flight. Throws 429 when there is none left. */
function spend(
  budget: PodDisruptionBudget,
  pod: string,
  now: number,
): NonNullable<PodDisruptionBudget['status']> {
  const name = budget.metadata.name ?? ''
  const status = budget.status
  if ((status?.observedGeneration ?? 0) < (budget.metadata.generation ?? 0))
    throw tooManyRequests(`The disruption budget ${name} is still being processed by the server.`, 10)
  const allowed = status?.disruptionsAllowed ?? 0
  if (allowed < 0)
    throw new StatusError({
      code: 403,
      reason: 'Forbidden',
      message: 'pdb disruptions allowed is negative',
      details: { name, kind: 'poddisruptionbudget' },
    })
  if (allowed === 0)
    throw tooManyRequests(
      `The disruption budget ${name} needs ${status?.desiredHealthy ?? 0} healthy pods and has ${status?.currentHealthy ?? 0} currently`,
      undefined,
    )
  return {
    ...(status as NonNullable<typeof status>),
    disruptionsAllowed: allowed - 1,
    disruptedPods: { ...status?.disruptedPods, [pod]: formatTime(now) },
  }
}

function tooManyRequests(why: string, retryAfterSeconds: number | undefined): StatusError {
  return new StatusError(
    {
      code: 429,
      reason: 'TooManyRequests',
      message: "Cannot evict pod as it would violate the pod's disruption budget.",
      details: {
        ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
        causes: [{ reason: 'DisruptionBudget', message: why }],
      },
    },
    retryAfterSeconds === undefined ? {} : { 'Retry-After': String(retryAfterSeconds) },
  )
}

async function deletePod(
  environment: KindsEnvironment,
  key: ObjectKey,
  options: DeleteOptions,
  isDryRun: boolean,
): Promise<void> {
  if (environment.deletePod === undefined) throw internalError('this server cannot delete pods by eviction')
  await environment.deletePod(key, options as Readonly<Record<string, unknown>>, isDryRun)
}
