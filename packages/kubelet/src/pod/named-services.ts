import type { Service } from '@outrigger/kube'
import type { ApiServerPlace } from '../node/node-options.ts'

const isMaster = ({ metadata }: Service): boolean =>
  metadata.namespace === 'default' && metadata.name === 'kubernetes'

/**
 * The services a container's environment may name: those of its namespace and, first, the API server's, which
 * `place` puts where containers of this node find it (or nowhere).
 */
export function namedServices(
  master: Service | undefined,
  own: readonly Service[],
  place: ApiServerPlace | 'none' | undefined,
): readonly Service[] {
  const others = own.filter((service) => !isMaster(service))
  if (place === 'none') return others
  const named = place === undefined ? master : serviceAt(place)
  return named === undefined ? others : [named, ...others]
}

function serviceAt({ host, port }: ApiServerPlace): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'default', name: 'kubernetes' },
    spec: { clusterIP: host, ports: [{ name: 'https', protocol: 'TCP', port }] },
  }
}
