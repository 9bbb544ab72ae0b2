import type { KubeList, KubeObject, ResourceRef } from '@outrigger/kube'
import { isGone } from './api-error.ts'
import type { ListOptions, Reader } from './client.ts'

/** How often a listing begins anew because the server forgot where it was. */
const mostRestarts = 3

/** Pages of a list. `isRestart` is true on the first page of a listing that began anew: what came before does not count. */
export interface ListPage<T extends KubeObject> {
  readonly list: KubeList<T>
  readonly isRestart: boolean
}

/**
 * Everything of a resource, page by page, all pages showing the same moment. When the server has
 * forgotten that moment (410), the listing begins anew, after three times without pages.
 */
export async function* listPages<T extends KubeObject>(
  client: Pick<Reader, 'list'>,
  resource: ResourceRef,
  options: ListOptions = {},
): AsyncGenerator<ListPage<T>> {
  let token = options.continue
  let isRestart = false
  for (let restarts = 0; ; ) {
    const limit = restarts > mostRestarts ? undefined : (options.limit ?? 500)
    const { continue: _, limit: __, ...rest } = options
    try {
      const list = await client.list<T>(resource, {
        ...rest,
        ...(limit !== undefined && { limit }),
        ...(token !== undefined && { continue: token }),
      })
      yield { list, isRestart }
      isRestart = false
      token = list.metadata.continue || undefined
      if (token === undefined) return
    } catch (error) {
      if (!isGone(error) || token === undefined || restarts > mostRestarts) throw error
      restarts++
      token = undefined
      isRestart = true
    }
  }
}

/** Every object of a resource at one moment, asked for in pages of `limit` (500). */
export async function listAll<T extends KubeObject>(
  client: Pick<Reader, 'list'>,
  resource: ResourceRef,
  options: ListOptions = {},
): Promise<T[]> {
  let items: T[] = []
  for await (const page of listPages<T>(client, resource, options)) {
    if (page.isRestart) items = []
    for (const item of page.list.items) items.push(item)
  }
  return items
}
