import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { SystemClock, silentLogger } from '@outrigger/foundation'
import { SidecarSetIndex } from '@outrigger/injection'
import {
  type MutatingWebhookConfiguration,
  resources,
  type ValidatingWebhookConfiguration,
} from '@outrigger/kube'
import { allow, type CertificateSource, createWebhookServer } from '@outrigger/webhook'
import { afterEach, describe, expect, it } from 'vitest'
import { webhookDeclarations } from '../admission/webhook-declarations.ts'
import { MemoryCluster } from '../testdata/memory-cluster.ts'
import { filebeat } from '../testdata/objects.ts'
import { createServerRelease } from './server-release.ts'
import { createWebhookRegistration } from './webhook-registration.ts'

const clock = new SystemClock()
const names = { mutating: 'm', validating: 'v' }
let stop: () => Promise<unknown> = async () => {}
afterEach(() => stop())

/** An API server of some version that keeps what is registered. */
class Registry extends MemoryCluster {
  readonly #minor: string

  constructor(minor: string) {
    super()
    this.#minor = minor
  }

  async raw() {
    const body = Buffer.from(JSON.stringify({ major: '1', minor: this.#minor }))
    return { status: 200, headers: {}, body }
  }

  entries() {
    const of = (
      resource: (typeof resources)['mutatingWebhookConfigurations' | 'validatingWebhookConfigurations'],
    ) =>
      [...this.of(resource).values()].flatMap(
        (object) => (object as MutatingWebhookConfiguration | ValidatingWebhookConfiguration).webhooks ?? [],
      )
    return [...of(resources.mutatingWebhookConfigurations), ...of(resources.validatingWebhookConfigurations)]
  }
}

async function register(
  registry: Registry,
  options: { readonly isExternal?: boolean; readonly index?: SidecarSetIndex } = {},
) {
  const authority = await createAuthority({ commonName: 'test', now: clock.now() })
  const pair = await issueCertificate(authority, {
    commonName: 'localhost',
    dnsNames: ['localhost'],
    usages: ['server'],
    now: clock.now(),
  })
  const certificate: CertificateSource = {
    current: async () => pair,
    authorities: authority.certificate,
    onChange: () => () => {},
    isExternal: options.isExternal === true,
  }
  const server = createWebhookServer({
    clock,
    logger: silentLogger,
    listen: { host: '127.0.0.1', port: 0 },
    certificate,
    handlers: { '/mutate-pod': () => allow },
  })
  const registration = createWebhookRegistration({
    client: registry,
    clock,
    logger: silentLogger,
    server,
    certificate,
    declarations: () => webhookDeclarations('kruise-system', options.index),
    release: createServerRelease({ client: registry, clock, logger: silentLogger, onRead: () => {} }),
    names,
    ...(options.isExternal && { annotations: { 'cert-manager.io/inject-ca-from': 'kruise-system/c' } }),
    target: (port) => ({ url: `https://localhost:${port}` }),
    serverName: 'localhost',
    isReady: () => true,
    interval: 50,
  })
  const stopping = new AbortController()
  const ended = Promise.all([server.run(stopping.signal), registration.run(stopping.signal)])
  stop = () => {
    stopping.abort()
    return ended
  }
  while (!registration.isRegistered) await clock.sleep(10)
  return { registration }
}

describe('webhooks are registered', () => {
  it.each([
    ['22', false],
    ['27+', false],
    ['28', true],
    ['30+', true],
  ])('with an API server of version 1.%s; match conditions: %s', async (minor, hasConditions) => {
    const registry = new Registry(minor)
    await register(registry)
    expect(registry.entries().some(({ matchConditions }) => matchConditions !== undefined)).toBe(
      hasConditions,
    )
    const written = registry.writes.length
    await clock.sleep(200)
    expect(registry.writes).toHaveLength(written)
  })

  it('so that every supported server takes them: one version, no side effects, a time-out', async () => {
    const registry = new Registry('22')
    await register(registry)
    for (const entry of registry.entries())
      expect(entry).toMatchObject({
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        timeoutSeconds: 10,
        matchPolicy: 'Equivalent',
      })
  })

  it('without touching the caBundles that somebody else injects', async () => {
    const registry = new Registry('36')
    const { registration } = await register(registry, { isExternal: true, index: new SidecarSetIndex() })
    expect(registry.entries().every(({ clientConfig }) => clientConfig.caBundle === undefined)).toBe(true)
    for (const resource of [
      resources.mutatingWebhookConfigurations,
      resources.validatingWebhookConfigurations,
    ] as const)
      for (const [key, object] of registry.of(resource)) {
        const { webhooks = [], ...rest } = object as MutatingWebhookConfiguration
        expect(rest.metadata.annotations).toEqual({ 'cert-manager.io/inject-ca-from': 'kruise-system/c' })
        const injected = webhooks.slice(1).map((webhook) => ({
          ...webhook,
          clientConfig: { ...webhook.clientConfig, caBundle: 'aW5qZWN0ZWQ=' },
        }))
        // One entry is gone as well, and has to come back with the bundle of the others.
        registry.of(resource).set(key, { ...rest, webhooks: injected } as MutatingWebhookConfiguration)
      }
    registration.look()
    await clock.sleep(200)
    const bundles = registry.entries().map(({ clientConfig }) => clientConfig.caBundle)
    expect(new Set(bundles)).toEqual(new Set(['aW5qZWN0ZWQ=']))
    expect(bundles).toHaveLength(webhookDeclarations('kruise-system').length)
  })

  it('with an entry for each SidecarSet that is required, about its pods alone', async () => {
    const registry = new Registry('36')
    const index = new SidecarSetIndex()
    const { registration } = await register(registry, { index })
    const required = filebeat({ selector: { matchLabels: { app: 'web' } } })
    index.set(required)
    registration.look()
    await clock.sleep(200)
    const entries = () => registry.entries().filter(({ name }) => name.endsWith('.required.vpod.kb.io'))
    expect(entries()).toMatchObject([
      { name: 'filebeat.required.vpod.kb.io', failurePolicy: 'Fail', objectSelector: required.spec.selector },
    ])
    index.delete('filebeat')
    registration.look()
    await clock.sleep(200)
    expect(entries()).toEqual([])
  })
})
