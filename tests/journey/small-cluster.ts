import { createApiServer } from '@outrigger/apiserver'
import { createAuthority, issueCertificate } from '@outrigger/certificates'
import { type ClusterClient, createClient, isNotFound } from '@outrigger/client'
import { createControlPlane } from '@outrigger/control-plane'
import { runAll } from '@outrigger/controller'
import { SystemClock, SystemRandom, silentLogger } from '@outrigger/foundation'
import { type KubeObject, parseKey, type ResourceRef } from '@outrigger/kube'
import { createPretendKubelet } from './pretend-kubelet.ts'

const token = 'journey-admin-token'

/** The pretend kubelet mounts nothing, so there is nothing to make. */
const pretendFolders = {
  path: (name: string) => `/pretend/${name}`,
  make: async () => {},
  remove: async () => {},
}

/** An API server, the control plane and a pretend kubelet in this process. */
export interface SmallCluster {
  readonly client: ClusterClient
  readonly url: string
  readonly token: string
  readonly authority: string
  /** Asks every 20 ms until `isDone` accepts the object. @throws with the object's last state after `timeout` ms. */
  until<T extends KubeObject>(
    resource: ResourceRef,
    key: string,
    isDone: (object: T) => boolean,
    timeout?: number,
  ): Promise<T>
  /** Asks every 20 ms until `isDone` accepts the list. @throws with the names left after `timeout` ms. */
  untilList<T extends KubeObject>(
    resource: ResourceRef,
    namespace: string,
    isDone: (objects: readonly T[]) => boolean,
    timeout?: number,
  ): Promise<readonly T[]>
  untilGone(resource: ResourceRef, key: string, timeout?: number): Promise<void>
  list<T extends KubeObject>(resource: ResourceRef, namespace: string): Promise<readonly T[]>
  stop(): Promise<void>
}

/** Starts one with these nodes; resolves when it serves. */
export async function startSmallCluster(nodes: readonly string[]): Promise<SmallCluster> {
  const clock = new SystemClock()
  const random = new SystemRandom()
  const logger = silentLogger
  const now = clock.now()
  const authority = await createAuthority({ commonName: 'journey', now })
  const serving = await issueCertificate(authority, {
    commonName: 'localhost',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now,
  })
  const server = createApiServer({
    clock,
    random,
    logger,
    listen: { host: '127.0.0.1', port: 0 },
    tls: {
      certificate: serving.certificate,
      key: serving.privateKey,
      clientAuthorities: authority.certificate,
    },
    tokens: [{ token, user: { name: 'admin', groups: ['system:masters'] } }],
  })
  const stopping = new AbortController()
  const serverEnded = server.run(stopping.signal)
  const { url } = await server.ready
  const client = createClient({
    clock,
    config: { server: url, certificateAuthority: authority.certificate, credentials: { token } },
  })
  const parts = new AbortController()
  const partsEnded = runAll(
    [
      createControlPlane({
        ...{ client, clock, random, logger, rootCa: authority.certificate },
        volumeFolders: pretendFolders,
      }),
      createPretendKubelet({ client, clock, random, logger, nodes }),
    ],
    parts.signal,
  )
  partsEnded.catch(() => {})

  async function poll<T>(
    what: string,
    timeout: number,
    attempt: () => Promise<T | undefined>,
    last: () => unknown,
  ) {
    const deadline = clock.monotonic() + timeout
    for (;;) {
      const found = await attempt()
      if (found !== undefined) return found
      if (clock.monotonic() > deadline)
        throw new Error(`${what} did not come: ${JSON.stringify(last(), null, 1)}`)
      await clock.sleep(20)
    }
  }

  return {
    client,
    url,
    token,
    authority: authority.certificate,
    async until<T extends KubeObject>(
      resource: ResourceRef,
      key: string,
      isDone: (object: T) => boolean,
      timeout = 10_000,
    ) {
      let last: T | undefined
      return poll(
        `${resource.kind} ${key}`,
        timeout,
        async () => {
          last = await client.get<T>(resource, parseKey(key)).catch((error: unknown) => {
            if (isNotFound(error)) return undefined
            throw error
          })
          return last !== undefined && isDone(last) ? last : undefined
        },
        () => last,
      )
    },
    async untilList<T extends KubeObject>(
      resource: ResourceRef,
      namespace: string,
      isDone: (objects: readonly T[]) => boolean,
      timeout = 10_000,
    ) {
      let last: readonly T[] = []
      return poll(
        `the list of ${resource.resource}`,
        timeout,
        async () => {
          last = (await client.list<T>(resource, { namespace })).items
          return isDone(last) ? last : undefined
        },
        () => last,
      )
    },
    async untilGone(resource, key, timeout = 10_000) {
      let last: KubeObject | undefined
      await poll(
        `the end of ${resource.kind} ${key}`,
        timeout,
        async () => {
          try {
            last = await client.get(resource, parseKey(key))
            return undefined
          } catch (error) {
            if (isNotFound(error)) return true
            throw error
          }
        },
        () => last,
      )
    },
    async list<T extends KubeObject>(resource: ResourceRef, namespace: string) {
      return (await client.list<T>(resource, { namespace })).items
    },
    async stop() {
      parts.abort()
      await partsEnded
      await client.close()
      stopping.abort()
      await serverEnded
    },
  }
}
