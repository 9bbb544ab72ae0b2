import { createPrivateKey, X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { type Clock, type Logger, silentLogger, UserError } from '@outrigger/foundation'
import { makePrivateDirectory, readIfThere, writeAtomically } from './atomic-file.ts'
import { createAuthority, issueCertificate } from './issue.ts'
import type { KeyPair } from './key-pair.ts'
import { needsRenewal, normalizeAddress, readCertificate } from './validity.ts'

/** A certificate that is to lie in the folder as `<file>.crt` and `<file>.key`. */
export interface CertificateRequest {
  readonly file: string
  readonly commonName: string
  readonly organizations?: readonly string[]
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly usages: readonly ('server' | 'client')[]
  /** Defaults to 365. */
  readonly validDays?: number
}

export interface CertificateFolderOptions {
  readonly clock: Clock
  readonly logger?: Logger
  /** Name of the authority when one must be made. Defaults to `outrigger-ca`. */
  readonly authorityName?: string
  /** Files of the authority: `<authorityFile>.crt` and `.key`. Defaults to `ca`. */
  readonly authorityFile?: string
  /** Life of a new authority. Defaults to 3650. */
  readonly authorityValidDays?: number
}

export interface CertificateFolder {
  readonly authority: KeyPair
  /** By `file` of the request. */
  readonly certificates: Readonly<Record<string, KeyPair>>
  /** Files written by this call, without extension. Empty when everything was fine. */
  readonly renewed: readonly string[]
}

/**
 * Makes the folder hold an authority and the requested certificates, and answers with them.
 *
 * What exists and fits is left alone. A certificate is made anew when it is missing, has less than a third
 * of its life left, names other people or addresses than requested, or is not signed by the
 * authority. Files have mode 0600, the folder 0700; each is replaced in one step.
 *
 * @throws UserError that names the file when one cannot be read or holds nothing usable. Such a file is
 * never overwritten, as it may be somebody's only key.
 */
export async function ensureCertificates(
  directory: string,
  requests: readonly CertificateRequest[],
  options: CertificateFolderOptions,
): Promise<CertificateFolder> {
  const logger = options.logger ?? silentLogger
  const now = options.clock.now()
  const renewed: string[] = []
  await makePrivateDirectory(directory)

  const authorityFile = options.authorityFile ?? 'ca'
  let authority = await readPair(directory, authorityFile)
  if (authority === undefined || needsRenewal(authority.certificate, now)) {
    logger.debug('Making a certificate authority', { file: join(directory, `${authorityFile}.crt`) })
    authority = await createAuthority({
      commonName: options.authorityName ?? 'outrigger-ca',
      now,
      ...(options.authorityValidDays === undefined ? {} : { validDays: options.authorityValidDays }),
    })
    await writePair(directory, authorityFile, authority)
    renewed.push(authorityFile)
  }

  const certificates: Record<string, KeyPair> = {}
  for (const request of requests) {
    let pair = await readPair(directory, request.file)
    const why = pair === undefined ? 'it is missing' : whyUnfit(pair, authority, request, now)
    if (pair === undefined || why !== undefined) {
      logger.debug('Making a certificate', { file: join(directory, `${request.file}.crt`), because: why })
      pair = await issueCertificate(authority, { ...request, now })
      await writePair(directory, request.file, pair)
      renewed.push(request.file)
    }
    certificates[request.file] = pair
  }
  return { authority, certificates, renewed }
}

/** Why a certificate must be made anew; undefined when it fits. */
function whyUnfit(
  pair: KeyPair,
  authority: KeyPair,
  request: CertificateRequest,
  now: number,
): string | undefined {
  const issuer = new X509Certificate(authority.certificate)
  const certificate = new X509Certificate(pair.certificate)
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey))
    return 'another authority signed it'
  // A leaf is cut to its authority's life, so renewing one whose authority is younger would not help.
  if (needsRenewal(pair.certificate, now)) return 'its end is near'
  const facts = readCertificate(pair.certificate)
  if (facts.commonName !== request.commonName) return 'its common name differs'
  if (!sameSet(facts.organizations, request.organizations ?? [])) return 'its organizations differ'
  if (!sameSet(facts.dnsNames, request.dnsNames ?? [])) return 'its DNS names differ'
  if (!sameSet(facts.ipAddresses, (request.ipAddresses ?? []).map(normalizeAddress)))
    return 'its addresses differ'
  return undefined
}

function sameSet(left: readonly string[], right: readonly string[]): boolean {
  const wanted = new Set(right)
  return new Set(left).size === wanted.size && left.every((entry) => wanted.has(entry))
}

async function readPair(directory: string, file: string): Promise<KeyPair | undefined> {
  const certificatePath = join(directory, `${file}.crt`)
  const keyPath = join(directory, `${file}.key`)
  const [certificate, privateKey] = await Promise.all([readIfThere(certificatePath), readIfThere(keyPath)])
  if (certificate === undefined && privateKey === undefined) return undefined
  const remedy = `remove ${certificatePath} and ${keyPath} to have new ones made`
  if (certificate === undefined) throw new UserError(`${keyPath} has no certificate beside it`, remedy)
  if (privateKey === undefined) throw new UserError(`${certificatePath} has no key beside it`, remedy)
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(certificate)
  } catch (error) {
    throw new UserError(`${certificatePath} holds no PEM certificate`, remedy, { cause: error })
  }
  let belongs: boolean
  try {
    belongs = parsed.checkPrivateKey(createPrivateKey(privateKey))
  } catch {
    // The cause is left out: parsers like to quote what they could not read.
    throw new UserError(`${keyPath} holds no PEM private key`, remedy)
  }
  if (!belongs) throw new UserError(`${keyPath} does not belong to ${certificatePath}`, remedy)
  return { certificate, privateKey }
}

/**
 * The key goes first. A crash between the two leaves a key without its certificate, which the next
 * start reports instead of serving with the wrong one.
 */
async function writePair(directory: string, file: string, pair: KeyPair): Promise<void> {
  await writeAtomically(join(directory, `${file}.key`), pair.privateKey)
  await writeAtomically(join(directory, `${file}.crt`), pair.certificate)
}
