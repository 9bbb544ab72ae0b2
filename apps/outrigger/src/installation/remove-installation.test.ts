import { ApiError } from '@outrigger/client'
import { SystemClock } from '@outrigger/foundation'
import type { Pod } from '@outrigger/kube'
import { expect, it } from 'vitest'
import { removeInstallation } from './remove-installation.ts'

/** A cluster in which webhooks lead to a Service of this namespace, or to no Service at all. */
function remove(webhooksOf: string | undefined, namespace: string, pods: readonly Pod[] = []) {
  const lines: string[] = []
  const patched: unknown[] = []
  const clientConfig =
    webhooksOf === undefined
      ? { url: 'https://laptop:9876' }
      : { service: { namespace: webhooksOf, name: 'webhooks' } }
  const client = {
    get: async () => ({ webhooks: [{ clientConfig }] }) as never,
    list: async () => ({ items: pods, metadata: {} }) as never,
    patch: async (_: unknown, { name }: { name: string }, { body }: { body: unknown }) =>
      void patched.push([name, body]) as never,
    delete: async () => undefined as never,
  }
  const { signal } = new AbortController()
  const removed = removeInstallation([], {
    ...{ client, clock: new SystemClock(), namespace, includesDefinitions: false, signal },
    report: (line) => lines.push(line),
  })
  return { removed, lines, patched }
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

it('takes pods back in that are out of service, for nobody will do that later', async () => {
  const type = 'outrigger.dev/in-service'
  const pod = (name: string, status: string): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: `uid-of-${name}` },
    spec: { containers: [], readinessGates: [{ conditionType: type }] },
    status: { conditions: [{ type, status, reason: 'Drained' }] },
  })
  const { removed, lines, patched } = remove('kruise-system', 'kruise-system', [
    pod('out', 'False'),
    pod('in', 'True'),
  ])
  await removed
  const conditions = [expect.objectContaining({ type, status: 'True' })]
  expect(patched).toMatchObject([['out', { metadata: { uid: 'uid-of-out' }, status: { conditions } }]])
  expect(lines).toContain('1 pod taken back into service')
})

it('does not go on where it may not look', async () => {
  const { signal } = new AbortController()
  const refused = async () => {
    throw new ApiError(403, { message: 'forbidden' })
  }
  const client = { get: refused, list: refused, patch: refused, delete: refused }
  const options = { client, clock: new SystemClock(), namespace: 'a', includesDefinitions: false, signal }
  await expect(removeInstallation([], { ...options, report: () => {} })).rejects.toThrow('forbidden')
})
