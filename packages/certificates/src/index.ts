export {
  type CertificateFolder,
  type CertificateFolderOptions,
  type CertificateRequest,
  ensureCertificates,
} from './certificate-folder.ts'
export { canSign, isKeyPair, isSignedBy, splitCertificates } from './chain.ts'
export {
  type AuthorityOptions,
  type CertificateOptions,
  createAuthority,
  issueCertificate,
} from './issue.ts'
export type { KeyPair } from './key-pair.ts'
export { createSigningKey, ensureSigningKey, parseSigningKey, type SigningKey } from './signing-key.ts'
export {
  createSigningRequest,
  readSigningRequest,
  type SigningRequest,
  type SigningRequestFacts,
  signRequest,
} from './signing-request.ts'
export { type CertificateFacts, needsRenewal, readCertificate } from './validity.ts'
