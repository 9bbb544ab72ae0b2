import type { Pod, PodStatus } from '@outrigger/kube'
import { applyStrategicMergePatch, builtinSchema } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { pod } from '../testdata/objects.ts'
import { amountsBefore, formerAmounts, resizePatch, resizeProgress, wantedAmounts } from './resize-plan.ts'

type Resources = NonNullable<Pod['spec']['containers'][number]['resources']>

const withAgent = (resources: Resources, status: PodStatus = {}, generation = 2): Pod => {
  const made = pod({
    spec: { nodeName: 'node', containers: [{ name: 'agent', image: 'agent:1', resources }] },
    status,
  })
  return { ...made, metadata: { ...made.metadata, generation } }
}
const given = (resources: Resources) => [{ list: 'containers' as const, name: 'agent', resources }]
const patched = (subject: Pod, spec: object | undefined): Pod =>
  spec === undefined
    ? subject
    : (applyStrategicMergePatch(subject, { spec }, builtinSchema('io.k8s.api.core.v1.Pod')) as Pod)
const amount = fc.option(fc.constantFrom('1', '2', '1000m'), { nil: undefined })
const side = fc
  .record({ cpu: amount, memory: amount })
  .map(
    (amounts) =>
      Object.fromEntries(Object.entries(amounts).filter(([, value]) => value !== undefined)) as Record<
        string,
        string
      >,
  )
const amounts: fc.Arbitrary<Resources> = fc.record({ limits: side, requests: side })

describe('a resize', () => {
  it('changes what the SidecarSet has changed, and nothing where the pod has it already', () => {
    fc.assert(
      fc.property(amounts, amounts, amounts, (has, carried, next) => {
        const subject = withAgent({ ...has, claims: [{ name: 'gpu' }] })
        const before = amountsBefore(subject, given(next))
        const wanted = wantedAmounts(subject, before, given(carried), given(next))
        const after = patched(subject, resizePatch(subject, wanted))
        expect(resizePatch(after, wanted)).toBeUndefined()
        const [container] = after.spec.containers
        expect(container?.resources?.claims).toEqual([{ name: 'gpu' }])
        for (const which of ['limits', 'requests'] as const)
          for (const name of ['cpu', 'memory'])
            if (carried[which]?.[name] === next[which]?.[name])
              expect(container?.resources?.[which]?.[name]).toBe(has[which]?.[name])
        const back = patched(after, resizePatch(after, formerAmounts(after, before)))
        expect(resizePatch(back, formerAmounts(back, before))).toBeUndefined()
      }),
    )
  })

  it('compares amounts, not their spelling', () => {
    const subject = withAgent({ limits: { cpu: '1000m', memory: '1Gi' } })
    expect(resizePatch(subject, given({ limits: { cpu: '1', memory: '1024Mi' } }))).toBeUndefined()
  })
})

describe('the progress of a resize', () => {
  const wanted = given({ limits: { memory: '2Gi' } })
  const of = (status: PodStatus, generation = 2) =>
    resizeProgress(withAgent({ limits: { memory: '2Gi' } }, status, generation), wanted)
  const condition = (type: string, reason: string) => ({
    conditions: [{ type, status: 'True', reason, message: reason }],
    observedGeneration: 2,
  })
  const running = (memory: string): PodStatus => ({
    containerStatuses: [
      {
        ...{ name: 'agent', image: 'agent:1', imageID: '', ready: true, restartCount: 0 },
        resources: { limits: { memory } },
        state: { running: {} },
      },
    ],
  })

  it('is what the node says, once it has seen what is asked for', () => {
    expect(of({ observedGeneration: 2 }).is).toBe('done')
    expect(of({ observedGeneration: 1 }).is).toBe('under way')
    expect(of(condition('PodResizeInProgress', 'Error'))).toEqual({ is: 'under way', message: 'Error' })
    expect(of(condition('PodResizePending', 'Deferred'))).toEqual({ is: 'under way', message: 'Deferred' })
    expect(of(condition('PodResizePending', 'Infeasible'))).toEqual({
      is: 'infeasible',
      message: 'Infeasible',
    })
  })

  it('is told by what runs, where a node does not say what it has seen', () => {
    expect(of(running('1Gi')).is).toBe('under way')
    expect(of(running('2048Mi')).is).toBe('done')
  })

  it('is done for a pod without a node: its containers start with the amounts', () => {
    expect(resizeProgress(pod(), wanted).is).toBe('done')
  })
})
