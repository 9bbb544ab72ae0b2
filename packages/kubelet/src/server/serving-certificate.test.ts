import { setImmediate as nextTurn } from 'node:timers/promises'
import { connect } from 'node:tls'
import { createAuthority, issueCertificate, type KeyPair } from '@outrigger/certificates'
import { type Logger, SeededRandom, silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import type { CertificateSigningRequest, ResourceRef } from '@outrigger/kube'
import { createSimRuntime } from '@outrigger/runtime-sim'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { createKubelet } from '../kubelet.ts'
import { MemoryApi } from '../testing/memory-api.ts'
import { ServingCertificate, type ServingNames } from './serving-certificate.ts'

const requests: ResourceRef = {
  group: 'certificates.k8s.io',
  version: 'v1',
  resource: 'certificatesigningrequests',
  kind: 'CertificateSigningRequest',
  namespaced: false,
}
const begin = Date.parse('2026-03-01T00:00:00Z')
const day = 24 * 60 * 60_000
const addresses = [
  { type: 'InternalIP', address: '127.0.0.1' },
  { type: 'Hostname', address: 'vk9.example' },
]

let authority: KeyPair
let pair: KeyPair

beforeAll(async () => {
  authority = await createAuthority({ commonName: 'test', now: begin })
  pair = await issueCertificate(authority, {
    commonName: 'system:node:vk9',
    ipAddresses: ['127.0.0.1'],
    usages: ['server'],
    now: begin,
    validDays: 30,
  })
})

describe('a serving certificate', () => {
  test('is asked for under all addresses of the node, taken into use, and asked for anew before it ends', async () => {
    const node = aNode()
    await node.until(() => node.asked.length === 1)

    expect(node.asked[0]).toEqual({
      commonName: 'system:node:vk9',
      organizations: ['system:nodes'],
      dnsNames: ['vk9.example'],
      ipAddresses: ['127.0.0.1'],
    })
    expect(node.pending().spec).toMatchObject({
      signerName: 'kubernetes.io/kubelet-serving',
      usages: ['digital signature', 'server auth'],
      request: Buffer.from('request 1').toString('base64'),
    })
    node.answer({ certificate: Buffer.from(pair.certificate).toString('base64') })
    await node.until(() => node.used.length === 1)
    expect(node.used).toEqual([{ certificate: pair.certificate, key: 'key 1' }])

    expect(node.longestSleep()).toBeLessThan(2 ** 31)
    await node.pass(20 * day)
    expect(node.asked).toHaveLength(1)
    await node.pass(8 * day)
    expect(node.asked.length).toBeGreaterThan(1)
    await node.stop()
  })

  test('is missed in the log once, where nobody signs; a late signature is still taken', async () => {
    const node = aNode()
    await node.until(() => node.asked.length === 1)
    await node.pass(60_000)

    expect(node.warnings).toHaveLength(1)
    expect(node.used).toEqual([])
    node.answer({ certificate: Buffer.from(pair.certificate).toString('base64') })
    await node.until(() => node.used.length === 1)
    await node.stop()
  })

  test('is asked for again, ever more rarely, after a refusal', async () => {
    const node = aNode()
    await node.until(() => node.asked.length === 1)
    node.answer({ conditions: [{ type: 'Denied', status: 'True', message: 'no' }] })
    await node.pass(10_000)

    expect(node.asked).toHaveLength(2)
    expect(node.warnings).toHaveLength(1)
    await node.stop()
  })

  test('takes the place of the one a kubelet began with, without a new start', async () => {
    const clock = new ManualClock(begin)
    const api = new MemoryApi(clock)
    const random = new SeededRandom(1)
    const own = await issueCertificate(await createAuthority({ commonName: 'own', now: begin }), {
      commonName: 'own',
      usages: ['server'],
      now: begin,
    })
    const stop = new AbortController()
    const kubelet = createKubelet({
      client: api.client(),
      runtime: createSimRuntime({ clock, random, pullDelay: 0 }),
      node: { name: 'vk9', isVirtual: true, capacity: { cpu: '8', memory: '1Gi', pods: '9' }, addresses },
      server: {
        host: '127.0.0.1',
        port: 0,
        tls: { certificate: own.certificate, key: own.privateKey },
        clientCa: authority.certificate,
      },
      servingCertificate: {
        makeRequest: async () => ({ privateKey: pair.privateKey, request: 'request' }),
      },
      clock,
      random,
      logger: silentLogger,
    })
    const ended = kubelet.run(stop.signal)
    await kubelet.ready
    expect(await servedName(kubelet.port)).toBe('own')
    sign(api, { certificate: Buffer.from(pair.certificate).toString('base64') })

    let name = ''
    for (let turn = 0; name !== 'system:node:vk9' && turn < 100; turn++) {
      await clock.advance(100)
      name = await servedName(kubelet.port)
    }
    expect(name).toBe('system:node:vk9')
    stop.abort()
    await ended
  })
})

function aNode() {
  const clock = new ManualClock(begin)
  const sleep = vi.spyOn(clock, 'sleep')
  const api = new MemoryApi(clock)
  const asked: ServingNames[] = []
  const used: { certificate: string; key: string }[] = []
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) }
  const stopping = new AbortController()
  let made = 0
  const ended = new ServingCertificate({
    client: numbering(api),
    nodeName: 'vk9',
    addresses,
    makeRequest: async (names) => {
      asked.push(names)
      made += 1
      return { privateKey: `key ${made}`, request: `request ${made}` }
    },
    use: (one) => void used.push(one),
    clock,
    random: new SeededRandom(1),
    logger,
  }).run(stopping.signal)
  const pass = async (time: number) => {
    for (let step = 0; step < 200; step++) {
      await clock.advance(time / 200)
      await nextTurn()
    }
  }
  return {
    asked,
    used,
    warnings,
    pass,
    longestSleep: () => Math.max(...sleep.mock.calls.map(([time]) => time)),
    pending: () => api.all<CertificateSigningRequest>(requests).at(-1)!,
    answer: (status: CertificateSigningRequest['status']) => sign(api, status),
    until: async (isSo: () => boolean) => {
      for (let turn = 0; !isSo() && turn < 200; turn++) await pass(200)
      expect(isSo()).toBe(true)
    },
    stop: async () => {
      stopping.abort()
      await ended
    },
  }
}

/** Objects are named here, as an API server does for `generateName`. */
function numbering(api: MemoryApi) {
  const client = api.client()
  let count = 0
  const create: typeof client.create = (resource, object, options) => {
    count += 1
    const named = { ...object, metadata: { ...object.metadata, name: `csr-${count}` } }
    return client.create(resource, named as typeof object, options)
  }
  return { ...client, create }
}

function sign(api: MemoryApi, status: CertificateSigningRequest['status']): void {
  const last = api.all<CertificateSigningRequest>(requests).at(-1)!
  api.put(requests, { ...last, ...(status && { status }) })
}

function servedName(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.once('error', reject)
  })
}
