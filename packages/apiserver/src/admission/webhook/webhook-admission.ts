import { type Clock, type Logger, messageOf, type Random } from '@outrigger/foundation'
import {
  applyJsonPatch,
  type KubeObject,
  type MutatingWebhookConfiguration,
  pruneUnknown,
  type ValidatingWebhookConfiguration,
} from '@outrigger/kube'
import { compileCel } from '../../custom/cel/cel-program.ts'
import { toCel } from '../../custom/cel/cel-value.ts'
import type { Objects } from '../../registry/objects.ts'
import type { Resource } from '../../registry/resource.ts'
import { badRequest, internalError, StatusError } from '../../registry/status-error.ts'
import type { AdmissionAttributes, AdmissionPlugin } from '../plugin.ts'
import {
  createReviewRequest,
  namespaceOf,
  parseReviewAnswer,
  type ReviewAnswer,
  type ReviewStatus,
} from './admission-review.ts'
import { compileWebhooks, matchRules, type WebhookMatch } from './compiled-webhook.ts'
import type { WebhookClient } from './webhook-client.ts'

const group = 'admissionregistration.k8s.io'

export interface WebhookEnvironment {
  readonly objects: Objects
  readonly client: WebhookClient
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** All versions of the resource that the server has, itself included. Defaults to none but itself. */
  readonly equivalents?: (resource: Resource) => readonly Resource[]
}

/**
 * The two steps `MutatingAdmissionWebhook` and `ValidatingAdmissionWebhook`. Which webhooks a kind of
 * request concerns is worked out once and remembered until a configuration changes, so requests that
 * concern none cost one look-up.
 */
export function createWebhookAdmission(environment: WebhookEnvironment): readonly AdmissionPlugin[] {
  const mutating = createMatcher<MutatingWebhookConfiguration>(environment, 'mutatingwebhookconfigurations')
  const validating = createMatcher<ValidatingWebhookConfiguration>(
    environment,
    'validatingwebhookconfigurations',
  )
  return [
    {
      name: 'MutatingAdmissionWebhook',
      concerns: (attributes) => mutating(attributes).length > 0,
      mutate: (attributes, signal) => runMutating(environment, attributes, mutating(attributes), signal),
    },
    {
      name: 'ValidatingAdmissionWebhook',
      concerns: (attributes) => validating(attributes).length > 0,
      validate: (attributes, signal) =>
        runValidating(environment, attributes, validating(attributes), signal),
    },
  ]
}

type Matcher = (attributes: AdmissionAttributes) => readonly WebhookMatch[]

/** Webhooks by operation, resource and subresource; selectors and conditions are looked at per request. */
function createMatcher<T extends MutatingWebhookConfiguration | ValidatingWebhookConfiguration>(
  { objects, equivalents }: WebhookEnvironment,
  resource: string,
): Matcher {
  let changes = -1
  let webhooks: ReturnType<typeof compileWebhooks> = []
  let matches = new WeakMap<Resource, Map<string, readonly WebhookMatch[]>>()
  return (attributes) => {
    // Webhooks that could keep anybody from mending webhooks would lock the cluster for good.
    if (attributes.resource.group === group) return []
    const now = objects.changes({ group, resource })
    if (now !== changes) {
      changes = now
      webhooks = compileWebhooks(objects.list<T>({ group, resource }))
      matches = new WeakMap()
    }
    if (webhooks.length === 0) return []
    let known = matches.get(attributes.resource)
    if (known === undefined) {
      known = new Map()
      matches.set(attributes.resource, known)
    }
    const key = `${attributes.operation} ${attributes.subresource}`
    const remembered = known.get(key)
    if (remembered !== undefined) return remembered
    const others = equivalents?.(attributes.resource) ?? []
    const found = webhooks.flatMap(
      (webhook) =>
        matchRules(webhook, attributes.operation, attributes.resource, attributes.subresource, others) ?? [],
    )
    known.set(key, found)
    return found
  }
}

async function runMutating(
  environment: WebhookEnvironment,
  attributes: AdmissionAttributes,
  matches: readonly WebhookMatch[],
  signal: AbortSignal,
): Promise<void> {
  const invoked: WebhookMatch[] = []
  const again = new Set<WebhookMatch>()
  for (const match of matches) {
    if (!(await isWanted(environment, attributes, match))) continue
    const hasChanged = await mutateBy(environment, attributes, match, signal)
    if (hasChanged) for (const earlier of invoked) if (earlier.webhook.isReinvoked) again.add(earlier)
    invoked.push(match)
  }
  for (const match of again) {
    if (await isWanted(environment, attributes, match)) await mutateBy(environment, attributes, match, signal)
  }
}

async function runValidating(
  environment: WebhookEnvironment,
  attributes: AdmissionAttributes,
  matches: readonly WebhookMatch[],
  signal: AbortSignal,
): Promise<void> {
  const outcomes = await Promise.allSettled(
    matches.map(async (match) => {
      if (await isWanted(environment, attributes, match)) await ask(environment, attributes, match, signal)
    }),
  )
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}

/** Asks one webhook and applies its patch. True when the object is another one now. */
async function mutateBy(
  environment: WebhookEnvironment,
  attributes: AdmissionAttributes,
  match: WebhookMatch,
  signal: AbortSignal,
): Promise<boolean> {
  const answer = await ask(environment, attributes, match, signal)
  if (answer?.patch === undefined) return false
  const { webhook } = match
  if (attributes.object === undefined)
    throw internalError(
      `admission webhook ${JSON.stringify(webhook.name)} attempted to modify the object, which is not supported for this operation`,
    )
  const before = JSON.stringify(attributes.object)
  try {
    const base =
      match.resource === attributes.resource
        ? attributes.object
        : await convert(attributes.object, match.resource, signal)
    const patched = applyJsonPatch(base, answer.patch) as KubeObject
    const back =
      match.resource === attributes.resource ? patched : await convert(patched, attributes.resource, signal)
    // What a webhook adds must be a field of the kind, as everything else that is stored.
    if (back.kind === attributes.resource.kind) pruneUnknown(back, attributes.resource.schema)
    attributes.object = back
    // Subresource objects (bindings, evictions) are no instances of the resource and have no defaults of it.
    if (back.kind === attributes.resource.kind) attributes.resource.strategy.applyDefaults(back)
  } catch (error) {
    if (error instanceof StatusError) throw error
    throw internalError(messageOf(error))
  }
  return JSON.stringify(attributes.object) !== before
}

/** Looks at selectors and conditions, cheapest first. */
async function isWanted(
  environment: WebhookEnvironment,
  attributes: AdmissionAttributes,
  { webhook }: WebhookMatch,
): Promise<boolean> {
  if (webhook.namespaceTest !== undefined) {
    const labels = namespaceLabels(environment.objects, attributes)
    if (labels !== 'none' && !webhook.namespaceTest(labels)) return false
  }
  if (webhook.objectTest !== undefined) {
    const { object, oldObject } = attributes
    const selects = (candidate: KubeObject | undefined) =>
      candidate !== undefined && webhook.objectTest?.(candidate.metadata?.labels) === true
    if (!selects(object) && !selects(oldObject)) return false
  }
  if (webhook.conditions.length === 0) return true
  return conditionsHold(environment, attributes, webhook)
}

/** Labels of the namespace of the request; `none` for cluster-scoped objects, which no selector excludes. */
function namespaceLabels(
  objects: Objects,
  attributes: AdmissionAttributes,
): Readonly<Record<string, string>> | undefined | 'none' {
  const { resource, object, oldObject, subresource } = attributes
  if (resource.group === '' && resource.plural === 'namespaces' && subresource === '')
    return (object ?? oldObject)?.metadata.labels ?? {}
  const name = namespaceOf(attributes)
  if (name === '') return 'none'
  return objects.get({ group: '', resource: 'namespaces' }, { namespace: '', name })?.metadata.labels
}

function conditionsHold(
  environment: WebhookEnvironment,
  attributes: AdmissionAttributes,
  webhook: WebhookMatch['webhook'],
): boolean {
  const { schema } = attributes.resource
  const request = createReviewRequest(
    '',
    attributes,
    { webhook, resource: attributes.resource },
    undefined,
    undefined,
  )
  const variables = {
    object: attributes.object === undefined ? null : toCel(attributes.object, schema),
    oldObject: attributes.oldObject === undefined ? null : toCel(attributes.oldObject, schema),
    request: toCel({ ...request, object: undefined, oldObject: undefined }, undefined),
  }
  const problems: string[] = []
  for (const { name, program } of webhook.conditions) {
    try {
      if (program instanceof Error) throw program
      // A condition that is plainly false excludes the webhook whatever the others say.
      if (program.evaluate(variables) === false) return false
    } catch (error) {
      problems.push(`${name}: ${messageOf(error)}`)
    }
  }
  if (problems.length === 0) return true
  if (webhook.ignoresFailures) {
    environment.logger.warn('A match condition failed; the webhook is passed over', {
      webhook: webhook.name,
      error: problems.join('; '),
    })
    return false
  }
  throw internalError(
    `failed calling webhook ${JSON.stringify(webhook.name)}: match conditions could not be evaluated: ${problems.join('; ')}`,
  )
}

/** The answer of an allowed request; undefined when the webhook failed and its policy is to go on. */
async function ask(
  environment: WebhookEnvironment,
  attributes: AdmissionAttributes,
  match: WebhookMatch,
  signal: AbortSignal,
): Promise<ReviewAnswer | undefined> {
  const { webhook } = match
  if (attributes.isDryRun && !webhook.allowsDryRun)
    throw badRequest(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`)
  let answer: ReviewAnswer
  try {
    answer = await call(environment, attributes, match, signal)
  } catch (error) {
    if (signal.aborted) throw signal.reason
    const message = `failed calling webhook ${JSON.stringify(webhook.name)}: ${messageOf(error)}`
    if (!webhook.ignoresFailures) throw internalError(message)
    environment.logger.warn('A webhook failed; its failure policy is Ignore', {
      webhook: webhook.name,
      error: messageOf(error),
    })
    return undefined
  }
  for (const text of answer.warnings) attributes.warn(text)
  if (!answer.allowed) throw rejection(webhook.name, answer.status)
  return answer
}

async function call(
  { client, random }: WebhookEnvironment,
  attributes: AdmissionAttributes,
  match: WebhookMatch,
  signal: AbortSignal,
): Promise<ReviewAnswer> {
  const isOther = match.resource !== attributes.resource
  const toVersion = (object: KubeObject | undefined) =>
    object === undefined || !isOther ? object : convert(object, match.resource, signal)
  const uid = random.uuid()
  const request = createReviewRequest(
    uid,
    attributes,
    match,
    await toVersion(attributes.object),
    await toVersion(attributes.oldObject),
  )
  const body = JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request })
  let answer: unknown
  try {
    answer = await client.post(match.webhook.clientConfig, body, { timeout: match.webhook.timeout, signal })
  } catch (error) {
    throw new Error(`failed to call webhook: ${messageOf(error)}`, { cause: error })
  }
  return parseReviewAnswer(answer, uid)
}

async function convert(object: KubeObject, to: Resource, signal: AbortSignal): Promise<KubeObject> {
  const apiVersion = to.group === '' ? to.version : `${to.group}/${to.version}`
  if (object.apiVersion === apiVersion || object.kind !== to.kind) return object
  if (to.storage.convert === undefined) return { ...object, apiVersion }
  const [converted] = await to.storage.convert([object], apiVersion, signal)
  if (converted === undefined) throw new Error(`conversion to ${apiVersion} returned nothing`)
  return converted
}

/** A refusal with the webhook's own code, reason and words. */
function rejection(name: string, status: ReviewStatus | undefined): StatusError {
  const deniedBy = `admission webhook ${JSON.stringify(name)} denied the request`
  const code = typeof status?.code === 'number' && status.code >= 400 && status.code < 600 ? status.code : 400
  const message = status?.message
    ? `${deniedBy}: ${status.message}`
    : status?.reason
      ? `${deniedBy}: ${status.reason}`
      : `${deniedBy} without explanation`
  return new StatusError({
    code,
    message,
    ...(status?.reason ? { reason: status.reason } : {}),
    ...(status?.details ? { details: status.details } : {}),
  } as ConstructorParameters<typeof StatusError>[0])
}

/** Reasons why a match condition is no expression, for the validation of configurations. */
export function matchConditionProblem(expression: string): string | undefined {
  try {
    compileCel(expression)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
