import { type SidecarSet, type SidecarSetSpec, sidecarSetErrors } from '@outrigger/api'
import { type Container, deepEqual, type Pod } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyPlan, patchOf } from './apply-plan.ts'
import { inAuthoredForm } from './authored-form.ts'
import { InjectionFailure } from './injection-failure.ts'
import { planPod } from './plan.ts'
import { authoredPodErrors } from './pod-guard.ts'
import { facts, pod, sidecarSet } from './testdata/builders.ts'

const names = ['web', 'helper', 'agent', 'agent-1', 'mesh', 'mesh-2', 'init', 'proxy']
const volumeNames = ['v1', 'v2', 'own']
const paths = ['/1', '/2', '/3', '/var/log']

const someName = fc.constantFrom(...names)
const uniqueMounts = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom(...volumeNames),
    mountPath: fc.constantFrom(...paths),
    subPathExpr: fc.constantFrom('', '$(A)/x', '$(MISSING)'),
  }),
  { selector: ({ mountPath }) => mountPath, maxLength: 3 },
)
const someEnv = fc.uniqueArray(
  fc.oneof(
    fc.record({ name: fc.constantFrom('A', 'B', 'C'), value: fc.constantFrom('1', '2') }),
    fc.constant({ name: 'IS_INJECTED', value: 'true' }),
  ),
  { selector: ({ name }) => name, maxLength: 3 },
)
const someResources = fc.constantFrom({}, { limits: { cpu: '1' }, requests: { cpu: '500m' } })
const device = (path: string) => ({ name: 'block', devicePath: path })

const word = <T extends string>(...words: T[]) => fc.option(fc.constantFrom(...words), { nil: undefined })
const someSidecar = fc.record(
  {
    name: someName,
    image: fc.constantFrom('i:1', 'i:2'),
    env: someEnv,
    volumeMounts: uniqueMounts,
    volumeDevices: fc.constantFrom([], [device('/dev/a')]),
    podInjectPolicy: word('BeforeAppContainer', 'AfterAppContainer'),
    shareVolumePolicy: fc.record({ type: fc.constantFrom('enabled' as const, 'disabled' as const) }),
    shareVolumeDevicePolicy: fc.record({ type: fc.constantFrom('enabled' as const, 'disabled' as const) }),
    upgradeStrategy: fc.constantFrom(
      {},
      { upgradeType: 'HotUpgrade' as const, hotUpgradeEmptyImage: 'empty' },
    ),
    transferEnv: fc.array(
      fc.record({
        sourceContainerName: someName,
        envName: fc.constantFrom('A', 'B'),
        envNames: fc.constantFrom([], ['C', 'A']),
      }),
      { maxLength: 2 },
    ),
    resourcesPolicy: fc.constant({
      targetContainersMode: 'sum' as const,
      targetContainersNameRegex: '.*',
      resourcesExpr: { limits: { cpu: 'cpu*50%' }, requests: { cpu: 'cpu*40%' } },
    }),
    unknownToUs: fc.constant({ kept: true }),
  },
  { requiredKeys: ['name', 'image'] },
)
const someInit = fc
  .tuple(someSidecar, fc.boolean())
  .map(([{ resourcesPolicy: _, ...sidecar }, isNative]) => ({
    ...sidecar,
    ...(isNative && { restartPolicy: 'Always' as const }),
  }))
const byName = { selector: ({ name }: { name: string }) => name }
const someVolume = (name: string) =>
  fc.constantFrom(
    { name, emptyDir: {} },
    { name, configMap: { name: 'kube-system/config' } },
    { name, configMap: { name: 'other' } },
  )
const someSpec: fc.Arbitrary<SidecarSetSpec> = fc.record({
  updateStrategy: fc.constant({ type: 'NotUpdate' as const }),
  containers: fc.uniqueArray(someSidecar, { ...byName, maxLength: 3 }),
  initContainers: fc.uniqueArray(someInit, { ...byName, maxLength: 2 }),
  volumes: fc
    .tuple(...[...volumeNames].map(someVolume))
    .map((list) => [...list, { name: 'block', persistentVolumeClaim: { claimName: 'c' } }]),
  imagePullSecrets: fc.array(fc.record({ name: fc.constantFrom('s1', 's2') }), { maxLength: 2 }),
  patchPodMetadata: fc.constantFrom(
    [],
    [{ annotations: { over: 'x', constructor: 'z' }, patchPolicy: 'Overwrite' as const }],
    [
      {
        annotations: { json: '{ "b" : {"y":1,"x":null}, "a":null}' },
        patchPolicy: 'MergePatchJson' as const,
      },
    ],
    [{ annotations: { json: '{"c":1}', note: 'y' }, patchPolicy: 'MergePatchJson' as const }],
    [{ annotations: { json: '{"a":1}' }, patchPolicy: 'Retain' as const }],
  ),
}) as fc.Arbitrary<SidecarSetSpec>

const someWeight = fc.constantFrom<Record<string, string>>(
  {},
  { 'outrigger.dev/injection-weight': '-3' },
  { 'outrigger.dev/injection-weight': '7' },
)

/** SidecarSets that admission accepts one by one; together they may clash. */
const someSets = fc
  .array(someSpec, { minLength: 1, maxLength: 3 })
  .chain((specs) =>
    fc.tuple(...specs.map((spec, i) => someWeight.map((weight) => sidecarSet(`set-${i}`, spec, weight)))),
  )
  .map((sets) => sets.filter((set) => sidecarSetErrors(set, { others: [] }).length === 0))

const someContainer = fc.record(
  {
    name: someName,
    image: fc.constant('app:1'),
    env: someEnv,
    volumeMounts: uniqueMounts,
    resources: someResources,
    unknownToUs: fc.constant([1, 2]),
  },
  { requiredKeys: ['name', 'image'] },
)
const somePod: fc.Arbitrary<Pod> = fc
  .record({
    all: fc.uniqueArray(someContainer, { ...byName, minLength: 1, maxLength: 4 }),
    inits: fc.nat(2),
    isEci: fc.boolean(),
    annotations: fc.constantFrom<Record<string, string>>(
      {},
      { json: '{"b": {"z":12345678901234567890}}', note: '{}' },
      { 'kruise.io/sidecarset-working-hotupgrade-container': 'garbage' },
      {
        'kruise.io/sidecarset-working-hotupgrade-container': '{"agent":"agent-2","mesh":"mesh-2"}',
        'version.sidecarset.kruise.io/mesh-2': '7',
        'kruise.io/sidecarset-injected-list': 'elsewhere,set-0',
        'kruise.io/sidecarset-hash': '{"set-0":"oldest","elsewhere":{"updateTimestamp":null,"hash":"h"}}',
      },
    ),
  })
  .map(({ all, inits, isEci, annotations }) => {
    const count = Math.min(inits, all.length - 1)
    return {
      ...pod({
        annotations,
        initContainers: all.slice(0, count) as Container[],
        containers: all.slice(count) as Container[],
        volumes: volumeNames.map((name) => ({ name, emptyDir: {} })),
        imagePullSecrets: [{ name: 's2' }],
        ...(isEci && { labels: { 'alibabacloud.com/eci': 'true' } }),
      }),
      unknownToUs: 'kept',
    } as Pod
  })

/** What the API server would say of names, mounts and devices. */
function problemsOf({ spec }: Pod): string[] {
  const problems: string[] = []
  const all = [...(spec.initContainers ?? []), ...spec.containers]
  const twice = (what: string, values: readonly string[]) => {
    if (new Set(values).size < values.length) problems.push(`${what} twice among ${values.join(' ')}`)
  }
  const volumes = (spec.volumes ?? []).map(({ name }) => name)
  twice(
    'container',
    all.map(({ name }) => name),
  )
  twice('volume', volumes)
  twice(
    'pull secret',
    (spec.imagePullSecrets ?? []).map(({ name }) => name ?? ''),
  )
  for (const { name, image, volumeMounts = [], volumeDevices = [], env = [], resources } of all) {
    if (!image) problems.push(`${name} has no image`)
    twice(`${name}: path`, [
      ...volumeMounts.map(({ mountPath }) => mountPath),
      ...volumeDevices.map(({ devicePath }) => devicePath),
    ])
    twice(
      `${name}: variable`,
      env.map((variable) => variable.name),
    )
    for (const mount of [...volumeMounts, ...volumeDevices])
      if (!volumes.includes(mount.name)) problems.push(`${name} mounts ${mount.name}, which is not there`)
    if (resources?.limits?.['cpu'] === '0' && resources.requests?.['cpu'] !== '0')
      problems.push(`${name}: cpu`)
  }
  return problems
}

function outcome(subject: Pod, sets: readonly SidecarSet[], isLate: boolean): Pod | InjectionFailure {
  const known = { ...facts(sets), isLate }
  try {
    const plan = planPod(subject, known)
    expect(patchOf(subject, plan).length === 0).toBe(deepEqual(applyPlan(subject, plan), subject))
    return applyPlan(subject, plan)
  } catch (error) {
    if (error instanceof InjectionFailure) return error
    throw error
  }
}

/** What the pod brought and nobody replaced. */
function survivors(before: Pod, after: Pod): [Container, Container | undefined][] {
  return (['initContainers', 'containers'] as const).flatMap((list) =>
    (before.spec[list] ?? []).map((container): [Container, Container | undefined] => [
      container,
      after.spec[list]?.find(({ name }) => name === container.name),
    ]),
  )
}

describe.each([false, true])('injection of several SidecarSets into any pod (late: %s)', (isLate) => {
  it('never makes a valid pod invalid: it refuses, and names a SidecarSet', () => {
    fc.assert(
      fc.property(somePod, someSets, (subject, sets) => {
        const result = outcome(subject, sets, isLate)
        if (result instanceof InjectionFailure) expect(result.message).toMatch(/^SidecarSet set-\d/)
        else expect(problemsOf(result)).toEqual([])
      }),
      { numRuns: 400 },
    )
  })

  it('keeps every container of the pod in its order, and what it does not know', () => {
    fc.assert(
      fc.property(somePod, someSets, (subject, sets) => {
        const result = outcome(subject, sets, isLate)
        if (result instanceof InjectionFailure) return
        expect(result).toMatchObject({ unknownToUs: 'kept' })
        const brought = new Set(
          sets
            .flatMap(({ spec }) => [...(spec.containers ?? []), ...(spec.initContainers ?? [])])
            .flatMap(({ name }) => [name, `${name}-1`, `${name}-2`]),
        )
        for (const [container, kept] of survivors(subject, result)) {
          expect(kept).toBeDefined()
          if (isLate || !brought.has(container.name)) expect(kept).toBe(container)
        }
        const order = result.spec.containers.map(({ name }) => name)
        const positions = subject.spec.containers.map(({ name }) => order.indexOf(name))
        expect(positions).toEqual([...positions].sort((left, right) => left - right))
      }),
      { numRuns: 200 },
    )
  })

  it('done twice is the same as done once', () => {
    fc.assert(
      fc.property(somePod, someSets, (subject, sets) => {
        const once = outcome(subject, sets, isLate)
        if (once instanceof InjectionFailure) return
        const again = planPod(once, { ...facts(sets), isLate, time: '2026-02-02T00:00:00Z' })
        expect(applyPlan(once, again)).toEqual(once)
      }),
      { numRuns: 400 },
    )
  })

  it('does not depend on the order in which SidecarSets are known', () => {
    fc.assert(
      fc.property(somePod, someSets, (subject, sets) => {
        const result = outcome(subject, sets, isLate)
        const turned = outcome(subject, [...sets].reverse(), isLate)
        expect(String(turned)).toBe(String(result))
        if (!(result instanceof InjectionFailure)) expect(turned).toEqual(result)
      }),
      { numRuns: 150 },
    )
  })
})

describe('an injected pod in the form of its author', () => {
  const isMerging = ({ spec }: SidecarSet) =>
    spec.patchPodMetadata?.some(({ patchPolicy }) => patchPolicy === 'MergePatchJson')
  const inOrder = ({ spec, ...rest }: Pod): Pod => ({
    ...rest,
    spec: {
      ...spec,
      volumes: [...(spec.volumes ?? [])].sort(({ name: left }, { name: right }) => (left < right ? -1 : 1)),
    },
  })

  it('is accepted by the guard, and injection completes it to the very same', () => {
    fc.assert(
      fc.property(
        somePod.filter((subject) => authoredPodErrors(subject).length === 0),
        someSets.map((sets) => sets.filter((set) => !isMerging(set))),
        (subject, sets) => {
          const injected = outcome(subject, sets, false)
          if (injected instanceof InjectionFailure) return
          const submitted = inAuthoredForm(injected)
          expect(authoredPodErrors(submitted)).toEqual([])
          expect(problemsOf(submitted)).toEqual([])
          const completed = outcome(submitted, sets, false)
          if (completed instanceof InjectionFailure) throw completed
          expect(inOrder(completed)).toEqual(inOrder(injected))
        },
      ),
      { numRuns: 400 },
    )
  })

  it('is the pod itself where nothing was injected', () => {
    const subject = pod({ labels: { a: 'b' }, annotations: { c: 'd' } })
    expect(inAuthoredForm(subject)).toBe(subject)
  })
})
