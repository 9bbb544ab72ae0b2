import type { Readable } from 'node:stream'
import type { KubeObject, WatchEvent } from '@outrigger/kube'
import { ConnectionError } from './api-error.ts'
import { streamBody } from './body.ts'
import { JsonLines } from './json-lines.ts'
import { apiErrorFromEvent, isRecord } from './status-body.ts'

/**
 * The events of a watch as they arrive. Ends when the server ends it.
 *
 * @throws ApiError for an ERROR event, ConnectionError when the stream breaks off, the signal's reason.
 */
export async function* readWatch<T extends KubeObject>(
  body: Readable,
  signal: AbortSignal,
): AsyncGenerator<WatchEvent<T>> {
  const lines = new JsonLines()
  try {
    for await (const chunk of streamBody(body)) {
      for (const value of lines.push(chunk)) {
        if (signal.aborted) throw signal.reason
        yield parseEvent<T>(value)
      }
    }
    for (const value of lines.end()) yield parseEvent<T>(value)
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    body.destroy()
  }
}

function parseEvent<T extends KubeObject>(value: unknown): WatchEvent<T> {
  if (!isRecord(value)) throw new ConnectionError('the watch sent something that is no event')
  if (value['type'] === 'ERROR') throw apiErrorFromEvent(value['object'])
  if (!isEvent<T>(value)) throw new ConnectionError('the watch sent something that is no event')
  return value
}

function isEvent<T extends KubeObject>(
  value: Record<string, unknown>,
): value is Record<string, unknown> & Exclude<WatchEvent<T>, { type: 'ERROR' }> {
  const { type, object } = value
  return (
    (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED' || type === 'BOOKMARK') &&
    isRecord(object) &&
    isRecord(object['metadata'])
  )
}
