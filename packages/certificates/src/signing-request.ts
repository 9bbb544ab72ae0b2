import { webcrypto } from 'node:crypto'
import { type CertificateOptions, createKeys, loadX509, signCertificate, subjectNames } from './issue.ts'
import type { KeyPair } from './key-pair.ts'
import { normalizeAddress } from './validity.ts'

/** A key of our own and the PEM request that asks an authority to certify it. */
export interface SigningRequest {
  readonly request: string
  /** PEM (PKCS#8). */
  readonly privateKey: string
}

/** What a request asks to be called. */
export interface SigningRequestFacts {
  readonly commonName: string
  readonly organizations: readonly string[]
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  /** Names of any other sort, as `type:value`. */
  readonly otherNames: readonly string[]
}

/** Requests longer than this are refused unread. */
const longest = 64 * 1024

/**
 * Makes a key (EC P-256) and a request for it (PKCS#10).
 *
 * @throws TypeError when an entry of `ipAddresses` is not an address.
 */
export async function createSigningRequest(
  options: Pick<CertificateOptions, 'commonName' | 'organizations' | 'dnsNames' | 'ipAddresses'>,
): Promise<SigningRequest> {
  const x509 = await loadX509()
  const keys = await createKeys()
  const { subject, alternatives } = subjectNames(options)
  const made = await x509.Pkcs10CertificateRequestGenerator.create(
    {
      name: subject,
      keys: keys.web,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions:
        alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension([...alternatives])],
    },
    webcrypto,
  )
  return { request: `${made.toString('pem')}\n`, privateKey: keys.privateKey }
}

/**
 * Reads a PEM request.
 *
 * @throws Error when it is none, or was not signed with the key it carries.
 */
export async function readSigningRequest(pem: string): Promise<SigningRequestFacts> {
  const { request, x509 } = await parse(pem)
  // Looked for among the extensions: those of a request come typed, by its parser.
  const extension = request.extensions.find((each) => each instanceof x509.SubjectAlternativeNameExtension)
  const names = extension?.names.items ?? []
  const of = (type: string) => names.filter((name) => name.type === type).map(({ value }) => value)
  const { subjectName } = request
  return {
    commonName: subjectName.getField('CN').at(-1) ?? '',
    organizations: subjectName.getField('O'),
    dnsNames: of('dns'),
    ipAddresses: of('ip').map(normalizeAddress),
    otherNames: names
      .filter(({ type }) => type !== 'dns' && type !== 'ip')
      .map(({ type, value }) => `${type}:${value}`),
  }
}

/**
 * Signs the key and the names of a request; whatever else it asks for is ignored. Answers with the certificate
 * in PEM, never valid for longer than its authority.
 *
 * @throws Error when the request cannot be read, see `readSigningRequest`.
 */
export async function signRequest(
  authority: KeyPair,
  pem: string,
  options: {
    readonly usages: CertificateOptions['usages']
    readonly validSeconds: number
    readonly now: number
  },
): Promise<string> {
  const { request } = await parse(pem)
  const { otherNames: _, ...names } = await readSigningRequest(pem)
  const publicKey = await request.publicKey.export(webcrypto)
  return signCertificate(authority, publicKey, {
    ...names,
    usages: options.usages,
    validDays: options.validSeconds / (24 * 60 * 60),
    now: options.now,
  })
}

async function parse(pem: string) {
  if (pem.length > longest) throw new Error('the certificate signing request is too long')
  const x509 = await loadX509()
  if (!pem.includes('-----BEGIN CERTIFICATE REQUEST-----'))
    throw new Error('PEM block type must be CERTIFICATE REQUEST')
  const request = new x509.Pkcs10CertificateRequest(pem)
  if (!(await request.verify(webcrypto)))
    throw new Error('the certificate signing request is not signed by its key')
  return { request, x509 }
}
