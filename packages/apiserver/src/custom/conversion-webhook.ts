import { messageOf, type Random } from '@outrigger/foundation'
import { type CustomResourceDefinition, isRecord, type KubeObject } from '@outrigger/kube'
import type { WebhookClient } from '../admission/webhook/webhook-client.ts'
import { internalError } from '../registry/status-error.ts'
import type { Converter } from './version-converter.ts'

/** Milliseconds; the limit of Kubernetes. */
const timeout = 30_000
/** Objects sent in one review. */
const batchSize = 500

/**
 * The conversion of a definition: its webhook, or undefined when versions differ in nothing but their name. Stored
 * objects are frozen and replaced as a whole, so what was once converted is remembered as long as they live.
 */
export function createConverter(
  definition: CustomResourceDefinition,
  client: WebhookClient,
  random: Random,
): Converter {
  const { conversion, group, names } = definition.spec
  const config = conversion?.webhook?.clientConfig
  if (conversion?.strategy !== 'Webhook' || config === undefined) return undefined
  const reviewVersion =
    conversion.webhook?.conversionReviewVersions.includes('v1') === false ? 'v1beta1' : 'v1'
  const remembered = new WeakMap<KubeObject, Map<string, KubeObject>>()

  async function review(
    objects: readonly KubeObject[],
    desired: string,
    signal: AbortSignal,
  ): Promise<readonly KubeObject[]> {
    const uid = random.uuid()
    const body = JSON.stringify({
      kind: 'ConversionReview',
      apiVersion: `apiextensions.k8s.io/${reviewVersion}`,
      request: { uid, desiredAPIVersion: desired, objects },
    })
    const answer = await client.post(config ?? {}, body, { timeout, signal })
    return parseAnswer(answer, uid, objects, desired)
  }

  return async (objects, desired, signal) => {
    const missing = objects.filter(
      (object) => object.apiVersion !== desired && remembered.get(object)?.get(desired) === undefined,
    )
    const fresh = new Map<KubeObject, KubeObject>()
    try {
      for (let start = 0; start < missing.length; start += batchSize) {
        const batch = missing.slice(start, start + batchSize)
        const converted = await review(batch, desired, signal)
        batch.forEach((object, index) => {
          const result = converted[index] as KubeObject
          fresh.set(object, result)
          if (!Object.isFrozen(object)) return
          const known = remembered.get(object) ?? new Map<string, KubeObject>()
          remembered.set(object, known.set(desired, result))
        })
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      const from = missing[0]?.apiVersion ?? `${group}/?`
      throw internalError(`conversion webhook for ${from}, Kind=${names.kind} failed: ${messageOf(error)}`)
    }
    return objects.map((object) =>
      object.apiVersion === desired
        ? object
        : (fresh.get(object) ?? remembered.get(object)?.get(desired) ?? object),
    )
  }
}

/** @throws Error that says what is wrong with the answer. */
function parseAnswer(
  answer: unknown,
  uid: string,
  sent: readonly KubeObject[],
  desired: string,
): readonly KubeObject[] {
  const response = isRecord(answer) && answer['kind'] === 'ConversionReview' ? answer['response'] : undefined
  if (!isRecord(response)) throw new Error('no response provided')
  if (response['uid'] !== uid)
    throw new Error(`expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response['uid'])}`)
  const result = response['result']
  if (!isRecord(result) || result['status'] !== 'Success')
    throw new Error(
      isRecord(result) && typeof result['message'] === 'string' ? result['message'] : 'conversion failed',
    )
  const converted = response['convertedObjects']
  if (!Array.isArray(converted) || converted.length !== sent.length)
    throw new Error(
      `expected ${sent.length} converted objects, got ${Array.isArray(converted) ? converted.length : 0}`,
    )
  return converted.map((object: unknown, index) =>
    checkConverted(object, sent[index] as KubeObject, desired, index),
  )
}

/** A webhook may change everything but who the object is: of metadata only labels and annotations count. */
function checkConverted(object: unknown, sent: KubeObject, desired: string, index: number): KubeObject {
  const place = `response.convertedObjects[${index}]`
  if (!isRecord(object)) throw new Error(`${place} is no object`)
  if (object['apiVersion'] !== desired)
    throw new Error(`${place} has API version ${String(object['apiVersion'])}, expected ${desired}`)
  if (object['kind'] !== sent.kind)
    throw new Error(`${place} has kind ${String(object['kind'])}, expected ${sent.kind}`)
  const metadata = isRecord(object['metadata']) ? object['metadata'] : {}
  for (const field of ['name', 'namespace', 'uid'] as const)
    if ((metadata[field] ?? undefined) !== sent.metadata[field])
      throw new Error(`${place} has another metadata.${field}`)
  const { labels, annotations, ...kept } = sent.metadata
  return {
    ...(object as unknown as KubeObject),
    metadata: {
      ...kept,
      ...(isRecord(metadata['labels']) ? { labels: metadata['labels'] as Record<string, string> } : {}),
      ...(isRecord(metadata['annotations'])
        ? { annotations: metadata['annotations'] as Record<string, string> }
        : {}),
    },
  }
}
