import type { KubeObject } from '@outrigger/kube'
import { openLmdbStore } from '../lmdb-store.ts'

// Writes objects from 32 callers and prints the name of each that was acknowledged, until it is killed.
const directory = process.argv[2] ?? ''
const store = await openLmdbStore({ directory, monotonic: () => performance.now() })
let next = 0
await Promise.all(
  Array.from({ length: 32 }, async () => {
    for (;;) {
      const name = `n${next++}`
      const object = { kind: 'ConfigMap', apiVersion: 'v1', metadata: { name, namespace: 'default' } }
      const key = { namespace: 'default', name }
      await store.write({ collection: 'configmaps', key, expected: 0, object: object as KubeObject })
      process.stdout.write(`${name}\n`)
    }
  }),
)
