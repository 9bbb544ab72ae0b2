import type { ContainerStatus, Pod } from '@outrigger/kube'
import { expect, test } from 'vitest'
import { summarizePod } from './pod-cells.ts'

test('counts started sidecars among the ready', () => {
  const pod = aPod({
    initContainers: [{ name: 's', restartPolicy: 'Always' }],
    initContainerStatuses: [aStatus('s', { started: true, ready: true, state: { running: {} } })],
    containerStatuses: [aStatus('a', { ready: true, state: { running: {} } })],
  })

  expect(summarizePod(pod)).toMatchObject({ ready: '2/2', status: 'Running' })
})

test('says how far initialization is', () => {
  const initContainers = [{ name: 'i' }, { name: 'j' }]
  const done = aStatus('i', { state: { terminated: { exitCode: 0 } } })

  const waiting = aPod({
    initContainers,
    initContainerStatuses: [done, aStatus('j', { state: { waiting: { reason: 'PodInitializing' } } })],
  })
  const failing = aPod({
    initContainers,
    initContainerStatuses: [done, aStatus('j', { state: { waiting: { reason: 'CrashLoopBackOff' } } })],
  })
  const broken = aPod({
    initContainers,
    initContainerStatuses: [done, aStatus('j', { state: { terminated: { exitCode: 3 } } })],
  })

  expect(summarizePod(waiting).status).toBe('Init:1/2')
  expect(summarizePod(failing).status).toBe('Init:CrashLoopBackOff')
  expect(summarizePod(broken).status).toBe('Init:ExitCode:3')
})

test('prefers what a container says over the phase, and deletion over both', () => {
  const crashing = aPod({
    containerStatuses: [
      aStatus('a', { restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } }),
    ],
  })
  const completed = aPod({
    containerStatuses: [aStatus('a', { state: { terminated: { exitCode: 0, reason: 'Completed' } } })],
  })
  const leaving = aPod({ containerStatuses: [aStatus('a', { ready: true, state: { running: {} } })] })
  leaving.metadata.deletionTimestamp = '2026-01-01T00:00:00Z'

  expect(summarizePod(crashing)).toMatchObject({ status: 'CrashLoopBackOff', restarts: 3, ready: '0/1' })
  expect(summarizePod(completed).status).toBe('Completed')
  expect(summarizePod(leaving).status).toBe('Terminating')
})

test('keeps a pod running whose other container has completed', () => {
  const containerStatuses = [
    aStatus('a', { ready: true, state: { running: {} } }),
    aStatus('b', { state: { terminated: { exitCode: 0, reason: 'Completed' } } }),
  ]

  expect(summarizePod(aPod({ containerStatuses })).status).toBe('NotReady')
  expect(
    summarizePod(aPod({ containerStatuses, conditions: [{ type: 'Ready', status: 'True' }] })).status,
  ).toBe('Running')
})

interface Parts {
  readonly initContainers?: object[]
  readonly initContainerStatuses?: ContainerStatus[]
  readonly containerStatuses?: ContainerStatus[]
  readonly conditions?: object[]
}

function aPod({ initContainers = [], ...status }: Parts): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'a' }], initContainers },
    status: { phase: 'Running', ...status },
  } as unknown as Pod
}

function aStatus(name: string, rest: object): ContainerStatus {
  return { name, ready: false, restartCount: 0, image: '', imageID: '', ...rest } as ContainerStatus
}
