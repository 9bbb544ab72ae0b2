import {
  createAuthority,
  isSignedBy,
  issueCertificate,
  readCertificate,
  splitCertificates,
} from '@outrigger/certificates'
import { silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { afterEach, describe, expect, it } from 'vitest'
import { type CertificateStore, createSharedCertificates } from './shared-certificates.ts'
import type { StoredCertificates } from './stored-certificates.ts'

class MemoryStore implements CertificateStore {
  certificates: StoredCertificates | undefined
  version = 0

  async read() {
    return { certificates: this.certificates, version: String(this.version) }
  }

  async write(certificates: StoredCertificates, version: string | undefined) {
    if (version !== String(this.version)) return false
    this.put(certificates)
    return true
  }

  put(certificates: StoredCertificates | undefined): void {
    this.certificates = certificates
    this.version++
  }
}

const day = 86_400_000
const minute = 60_000
const dnsNames = ['hook.ns.svc', 'localhost']
let stop: () => Promise<void> = async () => {}
afterEach(() => stop())

/** Replicas over one store, and a way to let time pass until something holds. */
function start(store: MemoryStore, count = 2) {
  const clock = new ManualClock()
  const controller = new AbortController()
  const replicas = Array.from({ length: count }, () =>
    createSharedCertificates({ store, dnsNames: ['hook.ns.svc'], clock, logger: silentLogger }),
  )
  const running = replicas.map((replica) => replica.run(controller.signal))
  stop = async () => {
    controller.abort()
    await Promise.all(running)
  }
  const until = async (holds: () => boolean) => {
    for (let i = 0; i < 200 && !holds(); i++) {
      await clock.advance(minute)
      // Keys are made by threads that no clock of ours knows.
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
    expect(holds()).toBe(true)
  }
  return { clock, replicas, until }
}

/** Certificates made so many days before the clock's now. */
async function aged(days: number): Promise<StoredCertificates> {
  const now = new ManualClock().now() - days * day
  const authority = await createAuthority({ commonName: 'old', now })
  const server = await issueCertificate(authority, {
    commonName: 'x',
    dnsNames,
    usages: ['server'],
    validDays: 3650,
    now,
  })
  return { authority, server, bundle: authority.certificate }
}

describe('shared certificates', () => {
  it('are one set for all replicas', async () => {
    const { replicas } = start(new MemoryStore())
    const [first, second] = await Promise.all(replicas.map((replica) => replica.current()))
    expect(second).toEqual(first)
    expect([...readCertificate(first!.certificate).dnsNames].sort()).toEqual(dnsNames)
  })

  it('get a new pair of the same authority in the last third of its life', async () => {
    const store = new MemoryStore()
    const old = await aged(250)
    const server = await issueCertificate(old.authority, {
      commonName: 'x',
      dnsNames,
      usages: ['server'],
      now: new ManualClock().now() - 250 * day,
    })
    store.put({ ...old, server })
    const { replicas } = start(store)
    const pair = await replicas[0]!.current()
    expect(pair).not.toEqual(server)
    expect(store.certificates?.authority).toEqual(old.authority)
    expect(replicas[0]!.authorities).toBe(old.bundle)
  })

  it('publish a new authority beside the old one for an hour before a pair of it is shown', async () => {
    const store = new MemoryStore()
    const old = await aged(3000)
    store.put(old)
    const { clock, replicas, until } = start(store)
    expect(await replicas[0]!.current()).toEqual(old.server)
    const fresh = store.certificates!.authority
    expect(splitCertificates(replicas[0]!.authorities)).toEqual(
      [fresh, old.authority].map(({ certificate }) => certificate.trim()),
    )
    const begun = clock.now()
    await until(() => store.certificates!.server.certificate !== old.server.certificate)
    expect(clock.now() - begun).toBeGreaterThanOrEqual(60 * minute)
    expect(isSignedBy(store.certificates!.server.certificate, fresh.certificate)).toBe(true)
    expect(splitCertificates(store.certificates!.bundle)).toHaveLength(2)
  })

  it('are made anew at once when they have expired', async () => {
    const store = new MemoryStore()
    const expired = await aged(4000)
    store.put(expired)
    const { replicas } = start(store)
    const pair = await replicas[0]!.current()
    const [authority] = splitCertificates(replicas[0]!.authorities)
    expect(isSignedBy(pair.certificate, authority!)).toBe(true)
    expect(replicas[0]!.authorities).not.toContain(expired.authority.certificate.trim())
  })

  it.each([
    ['is gone', () => undefined],
    [
      'has a key of somebody else',
      (good: StoredCertificates, other: StoredCertificates) => ({
        ...good,
        server: { ...good.server, privateKey: other.server.privateKey },
      }),
    ],
    ['has garbage for a bundle', (good: StoredCertificates) => ({ ...good, bundle: 'garbage' })],
    [
      'has garbage for an authority',
      (good: StoredCertificates) => ({
        ...good,
        authority: { certificate: 'x', privateKey: 'y' },
      }),
    ],
  ])('are written back by those who hold them when what is stored %s', async (_, spoil) => {
    const store = new MemoryStore()
    const { replicas, until } = start(store)
    await Promise.all(replicas.map((replica) => replica.current()))
    const good = store.certificates!
    let changes = 0
    replicas[0]!.onChange(() => changes++)
    store.put(spoil(good, await aged(0)))
    await until(
      () => store.certificates === good || JSON.stringify(store.certificates) === JSON.stringify(good),
    )
    expect(changes).toBe(0)
  })

  it('are made anew from what is left when nobody holds them', async () => {
    const store = new MemoryStore()
    const good = await aged(0)
    store.put({ ...good, server: { certificate: 'x', privateKey: 'y' } })
    const { replicas } = start(store)
    const pair = await replicas[0]!.current()
    expect(isSignedBy(pair.certificate, good.authority.certificate)).toBe(true)
  })
})
