import type { Service } from '@outrigger/kube'
import { expect, test } from 'vitest'
import { apiServerPlace } from '../node/node-options.ts'
import { aContainer, aPod } from '../testing/a-pod.ts'
import { containerEnvironment } from './environment.ts'
import { namedServices } from './named-services.ts'

const master = aService('default', 'kubernetes', '10.96.0.1', 443)
const web = aService('demo', 'web', '10.96.7.7', 80)

test('names the API server by its cluster IP, before the services of the namespace', () => {
  expect(namedServices(master, [web], undefined)).toEqual([master, web])
  expect(namedServices(undefined, [web], undefined)).toEqual([web])
  expect(namedServices(master, [master], undefined)).toEqual([master])
})

test('names the API server where containers of the node find it', async () => {
  const place = { host: '192.0.2.7', port: 6443 }
  const env = await environment(namedServices(master, [web], place))

  expect(env).toMatchObject({
    KUBERNETES_SERVICE_HOST: '192.0.2.7',
    KUBERNETES_SERVICE_PORT: '6443',
    KUBERNETES_SERVICE_PORT_HTTPS: '6443',
    KUBERNETES_PORT: 'tcp://192.0.2.7:6443',
    KUBERNETES_PORT_6443_TCP_ADDR: '192.0.2.7',
    WEB_SERVICE_HOST: '10.96.7.7',
  })
})

test('names no API server that containers cannot reach', async () => {
  const env = await environment(namedServices(master, [master, web], 'none'))

  expect(Object.keys(env).filter((name) => name.startsWith('KUBERNETES_'))).toEqual([])
  expect(env.WEB_PORT).toBe('tcp://10.96.7.7:80')
})

test.each([
  ['https://192.0.2.7:6443', { host: '192.0.2.7', port: 6443 }],
  ['https://[2001:db8::1]:6443/', { host: '2001:db8::1', port: 6443 }],
  ['https://api.example', { host: 'api.example', port: 443 }],
  ['https://127.0.0.1:6443', 'none'],
  ['https://localhost:6443', 'none'],
  ['https://[::1]:6443', 'none'],
  ['https://0.0.0.0:6443', 'none'],
] as const)('takes %s for the place %o', (url, place) => {
  expect(apiServerPlace(url)).toEqual(place)
})

async function environment(services: readonly Service[]): Promise<Record<string, string>> {
  const pod = aPod({ containers: [aContainer({})] })
  const variables = await containerEnvironment(pod, pod.spec.containers[0]!, {
    place: { nodeName: 'node-1', hostIps: [], podIps: [], allocatable: {} },
    services,
    configMap: async () => undefined,
    secret: async () => undefined,
  })
  return Object.fromEntries(variables.map(({ name, value }) => [name, value]))
}

function aService(namespace: string, name: string, clusterIP: string, port: number): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace, name },
    spec: { clusterIP, ports: [{ ...(name === 'kubernetes' && { name: 'https' }), protocol: 'TCP', port }] },
  }
}
