import type { KubeObject } from '@outrigger/kube'
import { notFound } from '../../registry/status-error.ts'
import type { KindBuilder } from '../kind-definition.ts'
import { createStrategy } from '../strategy.ts'

/** What this server can vouch for: its storage, which lives in the same process and is well when it answers. */
const components = ['etcd-0']

const statusOf = (name: string) =>
  ({
    apiVersion: 'v1',
    kind: 'ComponentStatus',
    metadata: { name },
    conditions: [{ type: 'Healthy', status: 'True', message: 'ok' }],
  }) as unknown as KubeObject

/** `componentstatuses`, kept for old clients. */
export const componentStatusKind: KindBuilder = (schema) => ({
  strategy: createStrategy({ schema }),
  deprecationWarning: 'v1 ComponentStatus is deprecated in v1.19+',
  virtual: {
    async get({ key }) {
      if (!components.includes(key.name))
        throw notFound({ group: '', resource: 'componentstatuses' }, key.name)
      return statusOf(key.name)
    },
    list: async () => components.map(statusOf),
  },
})
