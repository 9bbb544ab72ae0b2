import { X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { ManualClock } from '@outrigger/foundation/testing'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  createAuthority,
  ensureCertificates,
  ensureSigningKey,
  issueCertificate,
  needsRenewal,
} from './index.ts'

const day = 24 * 60 * 60 * 1000
let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'certificates-'))
})
afterEach(async () => {
  await rm(directory, { recursive: true, force: true })
})

describe('issueCertificate', () => {
  test('makes pairs with which a server and a client recognize each other', async () => {
    const now = Date.now()
    const authority = await createAuthority({ commonName: 'test-ca', now })
    const server = await issueCertificate(authority, {
      commonName: 'server',
      dnsNames: ['api.example'],
      ipAddresses: ['127.0.0.1', '::1'],
      usages: ['server'],
      now,
    })
    const client = await issueCertificate(authority, {
      commonName: 'system:node:virtual, one',
      organizations: ['system:nodes', 'b=c'],
      usages: ['client'],
      now,
    })

    const peer = await peerSeenByServer(authority.certificate, server, client)

    expect(peer.subject.CN).toBe('system:node:virtual, one')
    expect(peer.subject.O).toEqual(['system:nodes', 'b=c'])
  })

  test('cuts the life of a certificate to that of its authority', async () => {
    const now = Date.parse('2026-01-01T00:00:00Z')
    const authority = await createAuthority({ commonName: 'ca', now, validDays: 10 })
    const pair = await issueCertificate(authority, { commonName: 'a', usages: ['server'], now })

    expect(new X509Certificate(pair.certificate).validTo).toContain('Jan 11')
    expect(needsRenewal(pair.certificate, now + 6 * day)).toBe(false)
    expect(needsRenewal(pair.certificate, now + 7 * day)).toBe(true)
  })
})

describe('ensureCertificates', () => {
  const request = {
    file: 'server',
    commonName: 'server',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1', 'fd00::0:1'],
    usages: ['server' as const],
  }

  test('keeps what fits and makes the rest', async () => {
    const clock = new ManualClock()
    const first = await ensureCertificates(directory, [request], { clock })
    const second = await ensureCertificates(directory, [request], { clock })

    expect(first.renewed).toEqual(['ca', 'server'])
    expect(second.renewed).toEqual([])
    expect(second.certificates['server']).toEqual(first.certificates['server'])
    expect((await stat(join(directory, 'server.key'))).mode & 0o777).toBe(0o600)
    expect((await stat(directory)).mode & 0o777).toBe(0o700)
  })

  test('renews a certificate in its last third and one whose names changed', async () => {
    const clock = new ManualClock()
    await ensureCertificates(directory, [request], { clock })
    await clock.advance(250 * day)

    const late = await ensureCertificates(directory, [request], { clock })
    const renamed = await ensureCertificates(directory, [{ ...request, dnsNames: ['other'] }], { clock })

    expect(late.renewed).toEqual(['server'])
    expect(renamed.renewed).toEqual(['server'])
  })

  test('names a file it cannot use, tells the remedy and leaves the file alone', async () => {
    const clock = new ManualClock()
    await ensureCertificates(directory, [request], { clock })
    await writeFile(join(directory, 'ca.key'), 'secret nonsense')

    const attempt = ensureCertificates(directory, [request], { clock })

    await expect(attempt).rejects.toThrow(`${join(directory, 'ca.key')} holds no PEM private key; remove`)
    await expect(attempt).rejects.not.toThrow('secret nonsense')
    expect(await readFile(join(directory, 'ca.key'), 'utf8')).toBe('secret nonsense')
  })
})

describe('ensureSigningKey', () => {
  test('keeps the key for ever', async () => {
    const first = await ensureSigningKey(directory)

    expect(await ensureSigningKey(directory)).toEqual(first)
  })
})

async function peerSeenByServer(
  ca: string,
  server: { certificate: string; privateKey: string },
  client: { certificate: string; privateKey: string },
): Promise<PeerCertificate> {
  const listener = createServer({
    cert: server.certificate,
    key: server.privateKey,
    ca,
    requestCert: true,
    rejectUnauthorized: true,
  })
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve))
  const seen = new Promise<PeerCertificate>((resolve) => {
    listener.on('secureConnection', (socket: TLSSocket) => resolve(socket.getPeerCertificate()))
  })
  const socket = connect({
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    ca,
    cert: client.certificate,
    key: client.privateKey,
    servername: 'api.example',
  })
  await new Promise<void>((resolve, reject) => {
    socket.on('secureConnect', resolve)
    socket.on('error', reject)
  })
  const peer = await seen
  socket.destroy()
  listener.close()
  return peer
}
