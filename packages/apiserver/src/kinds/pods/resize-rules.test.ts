import { type FieldError, formatFieldError, type Pod } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { resizeErrors } from './pod-rules.ts'

type Resources = NonNullable<Pod['spec']['containers'][number]['resources']>

const pod = (resources: Resources): Pod => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'web', namespace: 'shop' },
  spec: {
    containers: [{ name: 'web', image: 'web:1', resources }],
    initContainers: [{ name: 'net', image: 'net:1', restartPolicy: 'Always', resources }],
  },
})
/** Of a pod without defaults: what is said about resources. */
const errorsOf = (after: Resources, before: Resources) =>
  (resizeErrors(pod(after) as never, pod(before) as never) as readonly FieldError[])
    .map(formatFieldError)
    .filter((text) => text.includes('resource'))

describe('a resize', () => {
  const before = { requests: { cpu: '100m', memory: '64Mi' }, limits: { memory: '64Mi' } }

  it('changes and adds amounts', () => {
    const limits = { memory: '128Mi', cpu: '1' }
    expect(errorsOf({ requests: { cpu: '200m', memory: '64Mi' }, limits }, before)).toEqual([])
  })

  it('takes none away, in the words of Kubernetes', () => {
    expect(errorsOf({ requests: { cpu: '100m', memory: '64Mi' } }, before)).toEqual([
      'spec.initContainers[0].resources.limits: Forbidden: resource limits cannot be removed',
      'spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed',
    ])
    expect(errorsOf({ requests: { memory: '64Mi' }, limits: { memory: '64Mi' } }, before)).toEqual([
      'spec.initContainers[0].resources.requests: Forbidden: resource requests cannot be removed',
      'spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed',
    ])
  })
})
