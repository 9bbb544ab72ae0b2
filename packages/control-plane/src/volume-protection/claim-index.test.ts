import type { Pod } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { claimIndex } from './volume-protection-controller.ts'

describe('the index of pods by claim', () => {
  test('finds a pod under each claim it mounts, also those made for it alone', () => {
    const pod: Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', namespace: 'shop' },
      spec: {
        containers: [],
        volumes: [
          { name: 'data', persistentVolumeClaim: { claimName: 'web-data' } },
          { name: 'scratch', ephemeral: {} },
          { name: 'config', configMap: { name: 'settings' } },
        ],
      },
    }

    expect(claimIndex.claim(pod)).toEqual(['shop/web-data', 'shop/web-scratch'])
  })
})
