import { messageOf } from '@outrigger/foundation'
import { isRecord, type KubeObject } from '@outrigger/kube'
import { BadReview } from './bad-review.ts'

/** The object in the version asked for. What it throws is told to whoever asked. */
export type Converter = (object: KubeObject, desiredApiVersion: string) => KubeObject

const apiVersion = 'apiextensions.k8s.io/v1'

/** Answers a ConversionReview: all objects or none, as the API server wants it. @throws BadReview when the body is none. */
export function reviewConversion(body: unknown, convert: Converter): unknown {
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
  return {
    kind: 'ConversionReview',
    apiVersion,
    response: { uid, ...convertAll(objects, desiredAPIVersion, convert) },
  }
}

function convertAll(objects: readonly unknown[], version: string, convert: Converter) {
  try {
    const convertedObjects = objects.map((object) => convert(object as KubeObject, version))
    return { result: { status: 'Success' }, convertedObjects }
  } catch (error) {
    return { result: { status: 'Failure', message: messageOf(error) } }
  }
}
