import { messageOf } from '@outrigger/foundation'
import { isRecord, type KubeObject } from '@outrigger/kube'
import type { ReviewCounter } from './admission-review.ts'
import { BadReview } from './bad-review.ts'

/** The object in the version asked for. What it throws is told to whoever asked. */
export type Converter = (object: KubeObject, desiredApiVersion: string) => KubeObject

const apiVersion = 'apiextensions.k8s.io/v1'

/**
 * Answers a ConversionReview: all objects or none, as the API server wants it. The JSON to send back.
 *
 * @throws BadReview when the body is none.
 */
export function reviewConversion(body: unknown, convert: Converter, counter?: ReviewCounter): string {
  if (!isRecord(body) || body['kind'] !== 'ConversionReview')
    throw new BadReview('the body is not a ConversionReview')
  if (body['apiVersion'] !== apiVersion) throw new BadReview(`apiVersion must be ${apiVersion}`)
  const request = body['request']
  if (!isRecord(request) || typeof request['uid'] !== 'string')
    throw new BadReview('request.uid must be a text')
  const { uid, desiredAPIVersion, objects } = request
  if (typeof desiredAPIVersion !== 'string') throw new BadReview('request.desiredAPIVersion must be a text')
  if (!Array.isArray(objects) || !objects.every((object) => isRecord(object) && isRecord(object['metadata'])))
    throw new BadReview('request.objects must be a list of objects')
  const outcome = convertAll(objects, desiredAPIVersion, convert)
  counter?.decided('CONVERT', outcome.result.status === 'Success')
  return JSON.stringify({ kind: 'ConversionReview', apiVersion, response: { uid, ...outcome } })
}

function convertAll(objects: readonly unknown[], version: string, convert: Converter) {
  try {
    const convertedObjects = objects.map((object) => convert(object as KubeObject, version))
    return { result: { status: 'Success' }, convertedObjects }
  } catch (error) {
    return { result: { status: 'Failure', message: messageOf(error) } }
  }
}
