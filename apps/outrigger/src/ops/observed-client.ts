import { ApiError, type Client, type WatchOptions } from '@outrigger/client'
import type { KubeObject, ResourceRef, WatchEvent } from '@outrigger/kube'

/** Numbers of all calls that went through an observed client. */
export interface ClientTraffic {
  /** Requests by `METHOD code`; the code of an answer that never came is `<error>`. */
  readonly requests: ReadonlyMap<string, number>
}

/** The client, and what was seen of its calls. Repeats inside the client count as one call. */
export interface ObservedClient {
  readonly client: Client
  readonly traffic: ClientTraffic
}

/** Counts the calls of a client without changing any of them. */
export function observeClient(client: Client): ObservedClient {
  const requests = new Map<string, number>()
  const count = (method: string, code: string) => {
    const key = `${method} ${code}`
    requests.set(key, (requests.get(key) ?? 0) + 1)
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

  async function* watch<T extends KubeObject>(
    resource: ResourceRef,
    options: WatchOptions,
  ): AsyncGenerator<WatchEvent<T>> {
    let code = '200'
    try {
      yield* client.watch<T>(resource, options)
    } catch (error) {
      if (!options.signal.aborted) code = codeOf(error)
      throw error
    } finally {
      count('GET', code)
    }
  }

  const observed: Client = {
    watch,
    list: (resource, options) => counted('GET', '200', client.list(resource, options)),
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
  return { client: observed, traffic: { requests } }
}

function codeOf(error: unknown): string {
  return error instanceof ApiError ? String(error.code) : '<error>'
}
