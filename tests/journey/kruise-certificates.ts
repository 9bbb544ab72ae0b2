import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const read = (name: string) =>
  readFileSync(join(import.meta.dirname, 'testdata/kruise-certificates', name), 'utf8')

/**
 * What is in the Secret `kruise-webhook-certs`, in the form in which kruise-manager makes it: RSA, keys in PKCS#1, good for
 * many years. Made for this test alone, with openssl.
 */
export const kruiseCertificates: Readonly<Record<string, string>> = {
  'ca-key.pem': read('ca-key.pem'),
  'ca-cert.pem': read('ca-cert.pem'),
  'key.pem': read('key.pem'),
  'tls.key': read('key.pem'),
  'cert.pem': read('cert.pem'),
  'tls.crt': read('cert.pem'),
}
