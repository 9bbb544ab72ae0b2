import type { Container, Pod, PodSpec } from '@outrigger/kube'

/** A pod bound to `node-1`; `spec` and `metadata` say what is special about it. */
export function aPod(
  spec: Partial<PodSpec> & { readonly containers?: Container[] } = {},
  metadata: Partial<Pod['metadata']> = {},
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'demo', uid: 'uid-a', generation: 1, ...metadata },
    spec: {
      nodeName: 'node-1',
      restartPolicy: 'Always',
      ...spec,
      containers: spec.containers ?? [aContainer()],
    },
    status: { phase: 'Pending' },
  }
}

/** A busybox container called `main` that sleeps. */
export function aContainer(special: Partial<Container> = {}): Container {
  return {
    name: 'main',
    image: 'busybox:1.36',
    imagePullPolicy: 'IfNotPresent',
    command: ['sh', '-c', 'trap "exit 0" TERM; while true; do sleep 1; done'],
    ...special,
  }
}
