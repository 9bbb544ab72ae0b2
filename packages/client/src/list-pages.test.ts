import { type KubeObject, resources } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { ApiError } from './api-error.ts'
import type { ListOptions, Reader } from './client.ts'
import { listAll } from './list-pages.ts'

describe('listAll', () => {
  test('follows continue tokens to the end', async () => {
    const { client, queries } = aPagedServer(['a', 'b', 'c'])

    expect((await listAll(client, resources.pods, { limit: 2 })).map(nameOf)).toEqual(['a', 'b', 'c'])
    expect(queries).toEqual(['2:', '2:2'])
  })

  test('begins anew when the server has forgotten where it was, and counts nothing twice', async () => {
    const { client, queries } = aPagedServer(['a', 'b', 'c'], { expirations: 1 })

    expect((await listAll(client, resources.pods, { limit: 2 })).map(nameOf)).toEqual(['a', 'b', 'c'])
    expect(queries).toEqual(['2:', '2:2', '2:', '2:2'])
  })

  test('asks for everything at once when the server keeps forgetting', async () => {
    const { client, queries } = aPagedServer(['a', 'b', 'c'], { expirations: 99 })

    expect((await listAll(client, resources.pods, { limit: 2 })).map(nameOf)).toEqual(['a', 'b', 'c'])
    expect(queries.at(-1)).toBe('all:')
  })
})

const nameOf = (object: KubeObject) => object.metadata.name

function aPagedServer(names: readonly string[], { expirations = 0 } = {}) {
  const queries: string[] = []
  let left = expirations
  const client: Pick<Reader, 'list'> = {
    async list<T extends KubeObject>(_: unknown, options: ListOptions = {}) {
      queries.push(`${options.limit ?? 'all'}:${options.continue ?? ''}`)
      if (options.continue !== undefined && left-- > 0) throw new ApiError(410, { reason: 'Expired' })
      const start = Number(options.continue ?? 0)
      const end = start + (options.limit ?? names.length)
      const items = names
        .slice(start, end)
        .map((name) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name } }))
      const metadata = end < names.length ? { continue: String(end) } : {}
      return { apiVersion: 'v1', kind: 'PodList', metadata, items: items as unknown as T[] }
    },
  }
  return { client, queries }
}
