import { ApiError, type Client, isGone, type ListOptions, type WatchOptions } from '@outrigger/client'
import type { Clock } from '@outrigger/foundation'
import type { KubeObject, ResourceRef, WatchEvent } from '@outrigger/kube'

/** What was seen of one resource's lists and watches since the start. */
export interface ResourceTraffic {
  /** Lists begun. */
  lists: number
  /** Lists and watches the server refused because the version asked for was too old. */
  expirations: number
  /** Watch connections opened. */
  watches: number
  /** Watch connections open now. */
  openWatches: number
  /** Watch connections that failed. */
  failures: number
  /** Watch connections given up because nothing was heard on them. */
  silences: number
  /** Events and bookmarks received. */
  events: number
  /** When something was last heard of it, on the monotonic clock, in milliseconds. */
  heardAt: number
}

/** Numbers of all calls that went through an observed client. */
export interface ClientTraffic {
  /** Requests by `METHOD code`; the code of an answer that never came is `<error>`. */
  readonly requests: ReadonlyMap<string, number>
  /** By plural name and group: `pods`, `sidecarsets.apps.kruise.io`. */
  readonly resources: ReadonlyMap<string, Readonly<ResourceTraffic>>
}

/** The client, and what was seen of its calls. Repeats inside the client count as one call. */
export interface ObservedClient {
  readonly client: Client
  readonly traffic: ClientTraffic
}

/** Counts the calls of a client without changing any of them. */
export function observeClient(client: Client, clock: Clock): ObservedClient {
  const requests = new Map<string, number>()
  const byResource = new Map<string, ResourceTraffic>()
  const count = (method: string, code: string) => {
    const key = `${method} ${code}`
    requests.set(key, (requests.get(key) ?? 0) + 1)
  }
  const trafficOf = (resource: ResourceRef): ResourceTraffic => {
    const name = resource.group === '' ? resource.resource : `${resource.resource}.${resource.group}`
    const known = byResource.get(name)
    if (known !== undefined) return known
    const fresh: ResourceTraffic = {
      lists: 0,
      expirations: 0,
      watches: 0,
      openWatches: 0,
      failures: 0,
      silences: 0,
      events: 0,
      heardAt: clock.monotonic(),
    }
    byResource.set(name, fresh)
    return fresh
  }
  const counted = async <T>(method: string, code: string, call: Promise<T>): Promise<T> => {
    try {
      const answer = await call
      count(method, code)
      return answer
    } catch (error) {
      count(method, codeOf(error))
      throw error
    }
  }

  async function list<T extends KubeObject>(resource: ResourceRef, options?: ListOptions) {
    const traffic = trafficOf(resource)
    if (options?.continue === undefined) traffic.lists++
    try {
      const answer = await counted('GET', '200', client.list<T>(resource, options))
      traffic.heardAt = clock.monotonic()
      return answer
    } catch (error) {
      if (isGone(error)) traffic.expirations++
      throw error
    }
  }

  async function* watch<T extends KubeObject>(
    resource: ResourceRef,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    const traffic = trafficOf(resource)
    traffic.watches++
    traffic.openWatches++
    let code = '200'
    try {
      for await (const event of client.watch<T>(resource, options)) {
        traffic.events++
        traffic.heardAt = clock.monotonic()
        yield event
      }
    } catch (error) {
      if (isGone(error)) traffic.expirations++
      else if (!options.signal.aborted) traffic.failures++
      if (!options.signal.aborted) code = codeOf(error)
      throw error
    } finally {
      traffic.openWatches--
      if (isSilence(options.signal.reason)) traffic.silences++
      count('GET', code)
    }
  }

  const observed: Client = {
    list,
    watch,
    get: (resource, key, options) => counted('GET', '200', client.get(resource, key, options)),
    create: (resource, object, options) => counted('POST', '201', client.create(resource, object, options)),
    update: (resource, object, options) => counted('PUT', '200', client.update(resource, object, options)),
    patch: (resource, key, patch, options) =>
      counted('PATCH', '200', client.patch(resource, key, patch, options)),
    delete: (resource, key, options) => counted('DELETE', '200', client.delete(resource, key, options)),
    deleteCollection: (resource, options) =>
      counted('DELETE', '200', client.deleteCollection(resource, options)),
    createSubresource: (resource, key, subresource, body, options) =>
      counted('POST', '201', client.createSubresource(resource, key, subresource, body, options)),
    raw: async (request) => {
      try {
        const answer = await client.raw(request)
        count(request.method, String(answer.status))
        return answer
      } catch (error) {
        count(request.method, codeOf(error))
        throw error
      }
    },
    serves: (resource, signal) => client.serves(resource, signal),
    close: () => client.close(),
  }
  return { client: observed, traffic: { requests, resources: byResource } }
}

function codeOf(error: unknown): string {
  return error instanceof ApiError ? String(error.code) : '<error>'
}

function isSilence(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'WatchSilent'
}
