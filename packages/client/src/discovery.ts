import type { Clock } from '@outrigger/foundation'
import { apiVersionOf, type ResourceRef } from '@outrigger/kube'
import { isNotFound } from './api-error.ts'
import type { CallOptions } from './client.ts'
import { isRecord } from './status-body.ts'

/** Milliseconds for which an answer is believed. */
const freshFor = 60_000

interface Known {
  readonly resources: ReadonlySet<string>
  readonly askedAt: number
}

/** Which resources the server serves, by group and version, remembered for a minute. */
export class Discovery {
  readonly #get: (path: string, options: CallOptions) => Promise<unknown>
  readonly #clock: Clock
  readonly #known = new Map<string, Known>()

  constructor(get: (path: string, options: CallOptions) => Promise<unknown>, clock: Clock) {
    this.#get = get
    this.#clock = clock
  }

  async serves(resource: ResourceRef, signal?: AbortSignal): Promise<boolean> {
    const version = apiVersionOf(resource)
    const now = this.#clock.monotonic()
    let known = this.#known.get(version)
    if (known === undefined || now - known.askedAt >= freshFor) {
      const path = resource.group === '' ? `/api/${version}` : `/apis/${version}`
      known = { resources: await this.#ask(path, signal ? { signal } : {}), askedAt: now }
      this.#known.set(version, known)
    }
    return known.resources.has(resource.resource)
  }

  async #ask(path: string, options: CallOptions): Promise<ReadonlySet<string>> {
    try {
      return new Set(namesIn(await this.#get(path, options)))
    } catch (error) {
      if (isNotFound(error)) return new Set()
      throw error
    }
  }
}

function namesIn(list: unknown): string[] {
  if (!isRecord(list) || !Array.isArray(list['resources'])) return []
  return list['resources'].flatMap((entry: unknown) =>
    isRecord(entry) && typeof entry['name'] === 'string' ? [entry['name']] : [],
  )
}
