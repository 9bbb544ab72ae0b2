import { expect, test } from 'vitest'
import { KindsUnderTest } from '../testing/kinds-under-test.ts'

const aSet = (mounted: string) => ({
  metadata: { name: 'db' },
  spec: {
    serviceName: 'db',
    selector: { matchLabels: { app: 'db' } },
    template: {
      metadata: { labels: { app: 'db' } },
      spec: {
        containers: [{ name: 'db', image: 'db', volumeMounts: [{ name: mounted, mountPath: '/data' }] }],
      },
    },
    volumeClaimTemplates: [
      {
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      },
    ],
  },
})

test('containers of a StatefulSet may mount its claims, and nothing that is not there', async () => {
  const kinds = new KindsUnderTest()
  const sets = kinds.find('statefulsets')

  expect((await kinds.create(sets, aSet('data'))).errors).toEqual([])
  const { errors } = await kinds.create(sets, aSet('other'))
  expect(errors.map(({ field }) => field)).toEqual(['spec.template.spec.containers[0].volumeMounts[0].name'])
})
