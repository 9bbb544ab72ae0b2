import type { KubeObject } from '@outrigger/kube'
import type { Objects } from './registry/objects.ts'

const names = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

/** Makes sure that the namespaces every cluster has exist. Repeatable. */
export async function ensureDefaultNamespaces(objects: Objects): Promise<void> {
  for (const name of names)
    await objects.write({ group: '', resource: 'namespaces' }, { namespace: '', name }, (current) =>
      current === undefined ? namespace(name) : undefined,
    )
}

function namespace(name: string): KubeObject {
  const object = {
    kind: 'Namespace',
    apiVersion: 'v1',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }
  return object as unknown as KubeObject
}
