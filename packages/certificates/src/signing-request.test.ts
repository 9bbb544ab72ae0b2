import { createPrivateKey, X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { isSignedBy } from './chain.ts'
import { createAuthority } from './issue.ts'
import { createSigningRequest, readSigningRequest, signRequest } from './signing-request.ts'
import { readCertificate } from './validity.ts'

const now = Date.parse('2026-03-01T00:00:00Z')
const names = {
  commonName: 'system:node:vk9',
  organizations: ['system:nodes'],
  dnsNames: ['vk9.example'],
  ipAddresses: ['10.0.0.9', 'fd00::9'],
}

describe('a certificate signing request', () => {
  test('says what it was made for', async () => {
    const { request } = await createSigningRequest(names)

    expect(await readSigningRequest(request)).toEqual({ ...names, otherNames: [] })
  })

  test('becomes a certificate for its own key and names, within the life asked for', async () => {
    const authority = await createAuthority({ commonName: 'test', now })
    const { request, privateKey } = await createSigningRequest(names)

    const certificate = await signRequest(authority, request, { usages: ['server'], validSeconds: 3600, now })

    expect(isSignedBy(certificate, authority.certificate)).toBe(true)
    expect(new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey))).toBe(true)
    expect(readCertificate(certificate)).toMatchObject({ ...names, notAfter: now + 3_600_000 })
  })

  test('is refused when it is none, is too long, or its signature is not its own', async () => {
    const { request } = await createSigningRequest(names)
    const lines = request.trim().split('\n')
    const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64')
    bytes[bytes.length - 1]! ^= 1
    const forged = [lines[0], bytes.toString('base64'), lines.at(-1)].join('\n')

    for (const pem of ['', 'rubbish', `${request}${' '.repeat(70_000)}`, forged])
      await expect(readSigningRequest(pem)).rejects.toThrow()
  })
})
