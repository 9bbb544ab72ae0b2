import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { SystemClock, silentLogger } from '@outrigger/foundation'
import { patchOf, planPod, SidecarSetIndex } from '@outrigger/injection'
import { createPodMutator } from '@outrigger/operator'
import { createWebhookServer, fixedCertificate } from '@outrigger/webhook'
import { aSidecarSet, typicalPod } from './injection.ts'

/**
 * One of two servers for the webhook bench: `manager` answers pod reviews with injections, `floor` is a bare TLS server
 * that parses the same bodies and answers with the same bytes, which it looks up nowhere and decides nothing about.
 * Usage: webhook-server.ts KIND CERTIFICATE KEY, as a child with a channel. Prints its port; answers each message with
 * the CPU time used so far in microseconds.
 */
const [kind = '', certificateFile = '', keyFile = ''] = process.argv.slice(2)
const certificate = readFileSync(certificateFile, 'utf8')
const privateKey = readFileSync(keyFile, 'utf8')
const isVirtualNode = () => false
const facts = {
  sidecarSets: new SidecarSetIndex(Array.from({ length: 10 }, (_, index) => aSidecarSet(index, index < 3))),
  namespace: { name: 'shop', labels: {} },
  time: '2026-01-01T10:00:00Z',
  isVirtualNode,
}

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.(user + system)
})

if (kind === 'floor') {
  const operations = patchOf(typicalPod(), planPod(typicalPod(), facts))
  const server = createServer({ cert: certificate, key: privateKey }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const review: { request?: { uid?: string } } = JSON.parse(Buffer.concat(chunks).toString('utf8'))
      const patch = Buffer.from(JSON.stringify(operations)).toString('base64')
      const body = JSON.stringify({
        kind: 'AdmissionReview',
        apiVersion: 'admission.k8s.io/v1',
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
  const server = createWebhookServer({
    clock: new SystemClock(),
    logger: silentLogger,
    listen: { host: '127.0.0.1', port: 0 },
    certificate: fixedCertificate({ certificate, privateKey }, certificate),
    handlers: {
      '/mutate-pod': createPodMutator({
        facts: { isVirtualNode, factsFor: async () => facts },
        logger: silentLogger,
        trustedUsers: [],
      }),
    },
  })
  void server.run(new AbortController().signal)
  await server.ready
  console.log(server.address.port)
}
