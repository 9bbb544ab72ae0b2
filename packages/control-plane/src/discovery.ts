import type { Client } from '@outrigger/client'
import type { Clock } from '@outrigger/foundation'
import type { ResourceRef } from '@outrigger/kube'

export interface DiscoveredResource {
  readonly ref: ResourceRef
  readonly verbs: ReadonlySet<string>
}

/** What the API server serves, one preferred version per resource, asked anew at most every few seconds. */
export interface Discovery {
  resources(signal: AbortSignal): Promise<readonly DiscoveredResource[]>
}

interface GroupList {
  readonly items?: readonly {
    readonly metadata?: { readonly name?: string }
    readonly versions?: readonly {
      readonly version: string
      readonly resources?: readonly {
        readonly resource: string
        readonly scope: string
        readonly verbs: readonly string[]
        readonly responseKind: { readonly kind: string }
      }[]
    }[]
  }[]
}

const aggregated = 'application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList'

export function createDiscovery(options: {
  readonly client: Client
  readonly clock: Clock
  readonly maxAge?: number
}): Discovery {
  const maxAge = options.maxAge ?? 5_000
  let known: { readonly at: number; readonly resources: Promise<readonly DiscoveredResource[]> } | undefined
  return {
    resources(signal) {
      const now = options.clock.monotonic()
      if (known !== undefined && now - known.at < maxAge) return known.resources
      const asked = ask(options.client, signal)
      known = { at: now, resources: asked }
      asked.catch(() => {
        if (known?.resources === asked) known = undefined
      })
      return asked
    },
  }
}

async function ask(client: Client, signal: AbortSignal): Promise<readonly DiscoveredResource[]> {
  const found = new Map<string, DiscoveredResource>()
  for (const path of ['/api', '/apis']) {
    const answer = await client.raw({ method: 'GET', path, headers: { accept: aggregated }, signal })
    if (answer.status !== 200) throw new Error(`discovery of ${path} answered ${answer.status}`)
    const list: GroupList = JSON.parse(answer.body.toString('utf8'))
    for (const item of list.items ?? []) {
      const group = item.metadata?.name ?? ''
      for (const { version, resources = [] } of item.versions ?? []) {
        for (const { resource, scope, verbs, responseKind } of resources) {
          const id = `${resource}.${group}`
          if (found.has(id)) continue
          found.set(id, {
            ref: { group, version, resource, kind: responseKind.kind, namespaced: scope === 'Namespaced' },
            verbs: new Set(verbs),
          })
        }
      }
    }
  }
  return [...found.values()]
}
