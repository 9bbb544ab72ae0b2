import { readCertificate } from '@outrigger/certificates'
import { silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { expect, it } from 'vitest'
import {
  type CertificateStore,
  createSharedCertificates,
  type StoredCertificates,
} from './shared-certificates.ts'

class MemoryStore implements CertificateStore {
  certificates: StoredCertificates | undefined
  version = 0
  writes = 0

  async read() {
    return { certificates: this.certificates, version: String(this.version) }
  }

  async write(certificates: StoredCertificates, version: string | undefined) {
    if (version !== String(this.version)) return false
    this.certificates = certificates
    this.version++
    this.writes++
    return true
  }
}

const day = 86_400_000

it('replicas agree on one set of certificates, renew the pair in time and keep the authority', async () => {
  const clock = new ManualClock()
  const store = new MemoryStore()
  const controller = new AbortController()
  const replicas = [1, 2].map(() =>
    createSharedCertificates({ store, dnsNames: ['hook.ns.svc'], clock, logger: silentLogger }),
  )
  const running = replicas.map((replica) => replica.run(controller.signal))
  const [first, second] = await Promise.all(replicas.map((replica) => replica.current()))
  expect(second).toEqual(first)
  expect([...readCertificate(first!.certificate).dnsNames].sort()).toEqual(['hook.ns.svc', 'localhost'])

  let changes = 0
  replicas[0]!.onChange(() => changes++)
  const authority = store.certificates!.authority
  // Moves the wall clock without waking the sleepers a thousand times.
  store.certificates = { ...store.certificates!, server: { ...first!, certificate: 'not a certificate' } }
  for (let i = 0; i < 200 && changes === 0; i++) {
    await clock.advance(60_000)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(changes).toBe(1)
  expect(store.certificates.authority).toEqual(authority)
  expect((await replicas[0]!.current()).certificate).not.toBe(first!.certificate)
  expect(clock.now()).toBeLessThan(Date.parse('2026-01-01T00:00:00Z') + day)
  controller.abort()
  await Promise.all(running)
})
