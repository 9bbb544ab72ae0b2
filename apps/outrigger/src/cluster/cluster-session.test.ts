import { ApiError, ConnectionError } from '@outrigger/client'
import { UserError } from '@outrigger/foundation'
import { describe, expect, it } from 'vitest'
import { inUserWords } from './cluster-session.ts'

const withCode = (code: string, message = code) => Object.assign(new Error(message), { code })
const unreachable = (code: string) =>
  new ConnectionError(`cannot connect to https://a:6443: ${code}`, { cause: withCode(code) })
const refusal = (code: number, message: string, details?: { name: string }) =>
  new ApiError(code, { message, ...(details && { details }) })

describe('a cluster that cannot be asked', () => {
  it.each<[error: Error, words: RegExp]>([
    [
      unreachable('ECONNREFUSED'),
      /^the cluster does not answer: cannot connect .*; check --kubeconfig and --context/,
    ],
    [unreachable('ENOTFOUND'), /check the host name of server/],
    [unreachable('SELF_SIGNED_CERT_IN_CHAIN'), /trusts another authority/],
    [unreachable('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), /trusts another authority/],
    [unreachable('ERR_OSSL_X509_KEY_VALUES_MISMATCH'), /; check client-certificate and client-key/],
    [unreachable('CERT_HAS_EXPIRED'), /renew the certificate of the API server, and check the clock$/],
    [unreachable('ERR_TLS_CERT_ALTNAME_INVALID'), /for another name: check server/],
    [unreachable('ERR_SSL_WRONG_VERSION_NUMBER'), /something else than a Kubernetes API server/],
    [new ConnectionError('the token cannot be read: ENOENT'), /; check tokenFile in the kubeconfig$/],
    [
      withCode('ERR_OSSL_X509_KEY_VALUES_MISMATCH', 'key values mismatch'),
      /cannot be used with its key: key values mismatch; /,
    ],
    [refusal(401, 'Unauthorized'), /^Unauthorized; .* get a new one$/],
    [refusal(403, 'pods is forbidden: User "bob" cannot'), /; use a kubeconfig with more rights$/],
    [refusal(403, 'pods is forbidden: User "system:anonymous" cannot'), /; the kubeconfig gives no token/],
    [
      refusal(500, 'Internal error occurred: failed calling webhook "msidecarset.kb.io": connection refused'),
      /; see that the manager runs: kubectl get pods -n kruise-system$/,
    ],
    [refusal(404, '404 page not found'), /install the definitions/],
    [refusal(404, 'pods "a" not found', { name: 'a' }), /^pods "a" not found$/],
  ])('is told with a remedy: %s', (error, words) => {
    const told = inUserWords(error)
    expect(told).toBeInstanceOf(UserError)
    expect((told as UserError).message).toMatch(words)
  })

  it('is told from a defect of ours', () => {
    const defect = new TypeError('x is not a function')
    expect(inUserWords(defect)).toBe(defect)
  })
})
