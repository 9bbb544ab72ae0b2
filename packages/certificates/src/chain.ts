import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { KeyPair } from './key-pair.ts'

/** Whether both halves can be read and belong together. */
export function isKeyPair({ certificate, privateKey }: KeyPair): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey))
  } catch {
    return false
  }
}

/** Whether the authority signed the certificate (both PEM). False for what is no certificate. */
export function isSignedBy(certificate: string, authority: string): boolean {
  try {
    const issuer = new X509Certificate(authority)
    const subject = new X509Certificate(certificate)
    return subject.checkIssued(issuer) && subject.verify(issuer.publicKey)
  } catch {
    return false
  }
}

/** Whether `issueCertificate` can sign with this pair: its key is of the curve P-256. */
export function canSign({ privateKey }: KeyPair): boolean {
  try {
    return createPrivateKey(privateKey).asymmetricKeyDetails?.namedCurve === 'prime256v1'
  } catch {
    return false
  }
}

/** The certificates in a PEM bundle, in its order. What is none is left out. */
export function splitCertificates(bundle: string): string[] {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []
  return blocks.filter((block) => {
    try {
      return new X509Certificate(block) !== undefined
    } catch {
      return false
    }
  })
}
