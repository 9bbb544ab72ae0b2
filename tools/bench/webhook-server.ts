import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { SystemClock, silentLogger } from '@outrigger/foundation'
import { SidecarSetIndex } from '@outrigger/injection'
import { createPodMutator } from '@outrigger/operator'
import { createWebhookServer, fixedCertificate } from '@outrigger/webhook'
import { aSidecarSet } from './injection.ts'

/**
 * One of two servers for the webhook bench: `manager` answers pod reviews with injections, `floor` is a bare TLS server
 * that parses the same bodies and answers them. Usage: webhook-server.ts KIND CERTIFICATE KEY. Prints its port.
 */
const [kind = '', certificateFile = '', keyFile = ''] = process.argv.slice(2)
const certificate = readFileSync(certificateFile, 'utf8')
const privateKey = readFileSync(keyFile, 'utf8')

if (kind === 'floor') {
  const server = createServer({ cert: certificate, key: privateKey }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const review: { request?: { uid?: string; object?: unknown } } = JSON.parse(
        Buffer.concat(chunks).toString('utf8'),
      )
      const patch = Buffer.from(JSON.stringify(review.request?.object)).toString('base64')
      const body = JSON.stringify({
        apiVersion: 'admission.k8s.io/v1',
        kind: 'AdmissionReview',
        response: { uid: review.request?.uid, allowed: true, patchType: 'JSONPatch', patch },
      })
      response.setHeader('content-type', 'application/json')
      response.end(body)
    })
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    console.log(typeof address === 'object' ? address?.port : '')
  })
} else {
  const sidecarSets = new SidecarSetIndex(
    Array.from({ length: 10 }, (_, index) => aSidecarSet(index, index < 3)),
  )
  const isVirtualNode = () => false
  const facts = {
    isVirtualNode,
    factsFor: async (name: string) => ({
      sidecarSets,
      namespace: { name, labels: {} },
      time: '2026-01-01T10:00:00Z',
      isVirtualNode,
    }),
  }
  const server = createWebhookServer({
    clock: new SystemClock(),
    logger: silentLogger,
    listen: { host: '127.0.0.1', port: 0 },
    certificate: fixedCertificate({ certificate, privateKey }, certificate),
    handlers: { '/mutate-pod': createPodMutator({ facts, logger: silentLogger, trustedUsers: [] }) },
  })
  void server.run(new AbortController().signal)
  await server.ready
  console.log(server.address.port)
}
