import { ApiError } from '@outrigger/client'
import { SystemClock } from '@outrigger/foundation'
import { expect, it } from 'vitest'
import { removeInstallation } from './remove-installation.ts'

/** A cluster in which webhooks lead to a Service of this namespace, or to no Service at all. */
function remove(webhooksOf: string | undefined, namespace: string) {
  const lines: string[] = []
  const clientConfig =
    webhooksOf === undefined
      ? { url: 'https://laptop:9876' }
      : { service: { namespace: webhooksOf, name: 'webhooks' } }
  const client = {
    get: async () => ({ webhooks: [{ clientConfig }] }) as never,
    list: async () => ({ items: [] }) as never,
    delete: async () => undefined as never,
  }
  const { signal } = new AbortController()
  const removed = removeInstallation([], {
    ...{ client, clock: new SystemClock(), namespace, includesDefinitions: false, signal },
    report: (line) => lines.push(line),
  })
  return { removed, lines }
}

it.each([['kruise-system'], [undefined]])('removes webhooks that lead to %s', async (webhooksOf) => {
  const { removed, lines } = remove(webhooksOf, 'kruise-system')
  await removed
  expect(lines[0]).toBe(
    'mutatingwebhookconfiguration.admissionregistration.k8s.io/kruise-mutating-webhook-configuration deleted',
  )
})

it('removes nothing where the webhooks are those of a manager in another namespace, and names it', async () => {
  const { removed, lines } = remove('kruise-system', 'elsewhere')
  await expect(removed).rejects.toThrow(
    'the webhooks of kruise-mutating-webhook-configuration lead to a manager in namespace kruise-system, not elsewhere; nothing was removed',
  )
  expect(lines).toEqual([])
})

it('does not go on where it may not look', async () => {
  const { signal } = new AbortController()
  const refused = async () => {
    throw new ApiError(403, { message: 'forbidden' })
  }
  const client = { get: refused, list: refused, delete: refused }
  const options = { client, clock: new SystemClock(), namespace: 'a', includesDefinitions: false, signal }
  await expect(removeInstallation([], { ...options, report: () => {} })).rejects.toThrow('forbidden')
})
