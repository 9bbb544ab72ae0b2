// Answering
export {
  type AdmissionAnswer,
  type AdmissionCause,
  type AdmissionHandler,
  type AdmissionRequest,
  allow,
  refuse,
} from './admission.ts'
// Certificates
export { type CertificateSource, fixedCertificate } from './certificate-source.ts'
export type { Converter } from './conversion-review.ts'
export {
  createExternalCertificates,
  type ExternalCertificates,
  type ExternalCertificatesOptions,
} from './external-certificates.ts'
// Registering
export { answers, type Endpoint } from './probe-endpoint.ts'
export {
  type CertificateStore,
  createSharedCertificates,
  type SharedCertificatesOptions,
} from './shared-certificates.ts'
export type { StoredCertificates } from './stored-certificates.ts'
export {
  type ConfigurationNames,
  clientConfig,
  type WebhookDeclaration,
  type WebhookTarget,
  webhookConfigurations,
} from './webhook-configurations.ts'
export { createWebhookServer, type WebhookServer, type WebhookServerOptions } from './webhook-server.ts'
// Counting
export type { PathStatistics, WebhookStatistics } from './webhook-statistics.ts'
