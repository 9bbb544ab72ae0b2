import type { SidecarContainer, SidecarSetSpec } from '@outrigger/api'
import { applyJsonPatch, type Container, type Pod, type Volume, type VolumeMount } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyPlan, patchOf } from './apply-plan.ts'
import { InjectionFailure } from './injection-failure.ts'
import { planInjection, planPod } from './plan.ts'
import { facts, type PodDraft, pod, sidecarSet } from './testdata/builders.ts'

const image = 'example/any:1'
const one = (container: Omit<SidecarContainer, 'image'>, spec: SidecarSetSpec = {}) =>
  sidecarSet('s', { containers: [{ image, ...container }], ...spec })

function inject(draft: PodDraft, ...sidecarSets: ReturnType<typeof sidecarSet>[]): Pod {
  const subject = pod(draft)
  return applyPlan(subject, planInjection(subject, facts(sidecarSets)))
}

const names = (containers: readonly Container[] | undefined) => containers?.map(({ name }) => name)

describe('the gate of pods that are drained before restarts', () => {
  const inService = { conditionType: 'outrigger.dev/in-service' }
  const draining = () => {
    const set = one({ name: 'agent' })
    const annotations = { ...set.metadata.annotations, 'outrigger.dev/drain-before-restart': '15s' }
    return { ...set, metadata: { ...set.metadata, annotations } }
  }

  it('is added behind those of the pod, once', () => {
    const own = { conditionType: 'example.com/ready' }
    const injected = inject({ readinessGates: [own] }, draining())
    expect(injected.spec.readinessGates).toEqual([own, inService])
    const again = applyPlan(injected, planInjection(injected, facts([draining()])))
    expect(again.spec.readinessGates).toEqual([own, inService])
  })

  it('is not added without the annotation, nor to a pod that is bound already', () => {
    expect(inject({}, one({ name: 'agent' })).spec.readinessGates).toBeUndefined()
    const plan = planInjection(pod(), { ...facts([draining()]), isLate: true })
    expect(plan.injects).toBe(true)
    expect(plan.pieces.spec.readinessGates).toBeUndefined()
  })
})

describe('injection', () => {
  it('adds the container, the volumes it mounts, and the bookkeeping of OpenKruise', () => {
    const agents = sidecarSet('agents', {
      containers: [
        {
          name: 'agent',
          image: 'example/agent:1.0',
          volumeMounts: [{ name: 'agent-data', mountPath: '/data' }],
        },
      ],
      volumes: [{ name: 'agent-data' }],
    })
    const injected = inject({}, agents)
    expect(injected.metadata.annotations).toEqual({
      'kruise.io/sidecarset-injected-list': 'agents',
      'kruise.io/sidecarset-hash':
        '{"agents":{"updateTimestamp":"2026-01-01T10:00:00Z","hash":"x5cxb2bd4bw9xx9zdvfd8f465ddzxf2zwxvv4c8xxf24254x494c28547wcbcwb8","sidecarSetName":"agents","sidecarList":["agent"],"controllerRevision":"agents-7c9ccc6db4"}}',
      'kruise.io/sidecarset-hash-without-image':
        '{"agents":{"updateTimestamp":"2026-01-01T10:00:00Z","hash":"4244xxf452d4w5f48vx2476dxf44f8c5xf8b4c7xxzxf46w8w6557w4828455d5b","sidecarSetName":"agents","sidecarList":["agent"]}}',
    })
    expect(injected.spec).toEqual({
      containers: [
        {
          name: 'agent',
          image: 'example/agent:1.0',
          imagePullPolicy: 'IfNotPresent',
          terminationMessagePath: '/dev/termination-log',
          terminationMessagePolicy: 'File',
          env: [{ name: 'IS_INJECTED', value: 'true' }],
          volumeMounts: [{ name: 'agent-data', mountPath: '/data' }],
        },
        { name: 'web', image: 'example/web:1' },
      ],
      volumes: [{ name: 'agent-data', emptyDir: {} }],
    })
  })

  it('holds back SidecarSets with native sidecars where the cluster does not know them, whole, and says so', () => {
    const native = sidecarSet('native', {
      initContainers: [{ name: 'proxy', image, restartPolicy: 'Always' }],
      containers: [{ name: 'helper', image }],
      updateStrategy: { type: 'NotUpdate' },
    })
    const known = facts([native, one({ name: 'a' })])
    known.sidecarSets.release = 28
    const plan = planInjection(pod(), known)
    expect(names(plan.pieces.spec.containers)).toEqual(['a', 'web'])
    expect(plan.pieces.spec.initContainers).toBeUndefined()
    expect(plan.sidecarSets[0]).toEqual({
      sidecarSet: 'native',
      isInjected: false,
      reason:
        'its init container proxy is a native sidecar, which this Kubernetes (1.28) does not know and would wait for to end; they come with 1.29',
    })
    for (const release of [29, 36, undefined]) {
      known.sidecarSets.release = release
      expect(names(planInjection(pod(), known).pieces.spec.initContainers)).toEqual(['proxy'])
    }
  })

  it('leaves out volumes that no sidecar mounts', () => {
    const injected = inject({}, one({ name: 'a' }, { volumes: [{ name: 'unused', emptyDir: {} }] }))
    expect(injected.spec.volumes).toBeUndefined()
  })

  it('places containers by their policy and sorts init containers by name', () => {
    const before = 'BeforeAppContainer'
    const after = 'AfterAppContainer'
    const injected = inject(
      { initContainers: [{ name: 'app-init' }], containers: [{ name: 'web' }, { name: 'helper' }] },
      sidecarSet('s', {
        initContainers: [
          { name: 'z-init', image },
          { name: 'b-init', image, podInjectPolicy: before },
          { name: 'a-init', image },
        ],
        containers: [
          { name: 'first', image },
          { name: 'last', image, podInjectPolicy: after },
          { name: 'second', image },
        ],
      }),
    )
    expect(names(injected.spec.initContainers)).toEqual(['b-init', 'app-init', 'a-init', 'z-init'])
    expect(names(injected.spec.containers)).toEqual(['first', 'second', 'web', 'helper', 'last'])
    expect(injected.metadata.annotations?.['kruise.io/sidecarset-hash']).toContain(
      '"sidecarList":["first","last","second"]',
    )
  })

  it('orders SidecarSets by name', () => {
    const injected = inject(
      {},
      sidecarSet('b', { containers: [{ name: 'of-b', image }] }),
      sidecarSet('a', { containers: [{ name: 'of-a', image }] }),
    )
    expect(names(injected.spec.containers)).toEqual(['of-a', 'of-b', 'web'])
  })

  describe('with injection weights', () => {
    const weighing = (name: string, weight: string | undefined, spec: SidecarSetSpec) =>
      sidecarSet(name, spec, weight === undefined ? {} : { 'outrigger.dev/injection-weight': weight })
    const before = (name: string) => ({ name, image, podInjectPolicy: 'BeforeAppContainer' as const })
    const after = (name: string) => ({ name, image, podInjectPolicy: 'AfterAppContainer' as const })

    it('injects in ascending order of them, those of the same weight by name, in front and behind', () => {
      const { spec } = inject(
        {},
        weighing('a', '10', { containers: [before('a1'), after('a2')] }),
        weighing('b', undefined, { containers: [before('b1'), after('b2')] }),
        weighing('c', '-5', { containers: [before('c1'), after('c2')] }),
        weighing('d', '0', { containers: [before('d1'), after('d2')] }),
        weighing('e', 'heavy', { containers: [after('e2')] }),
      )
      expect(names(spec.containers)).toEqual(['c1', 'b1', 'd1', 'a1', 'web', 'c2', 'b2', 'd2', 'e2', 'a2'])
    })

    it('keeps the order in which a SidecarSet with a weight lists its init containers', () => {
      const { spec } = inject(
        { initContainers: [{ name: 'own' }] },
        weighing('last', '1', { initContainers: [before('z'), before('y')] }),
        weighing('first', '-1', { initContainers: [before('x'), before('w')] }),
        weighing('one', undefined, { initContainers: [before('m')] }),
        weighing('two', undefined, { initContainers: [before('k')] }),
      )
      expect(names(spec.initContainers)).toEqual(['x', 'w', 'k', 'm', 'z', 'y', 'own'])
    })

    it('lets the lighter of two SidecarSets own a volume, and says the weight in the reason', () => {
      const mount = (name: string) => ({ ...after(name), volumeMounts: [{ name: 'v', mountPath: '/v' }] })
      const plan = planPod(
        pod(),
        facts([
          weighing('a', '1', { containers: [mount('a1')], volumes: [{ name: 'v', emptyDir: {} }] }),
          weighing('b', undefined, {
            containers: [mount('b1')],
            volumes: [{ name: 'v', hostPath: { path: '/v' } }],
          }),
        ]),
      )
      expect(plan.volumes).toEqual([expect.objectContaining({ sidecarSet: 'b', action: 'add' })])
      expect(plan.sidecarSets.map(({ reason }) => reason)).toEqual([
        'selector and namespace match; its injection weight is 1',
        'selector and namespace match',
      ])
    })
  })

  it('shares the mounts of app containers and the variables their sub-paths need', () => {
    const injected = inject(
      {
        containers: [
          {
            name: 'app',
            env: [
              { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
              { name: 'MODE', value: 'prod' },
            ],
            volumeMounts: [
              { name: 'logs', mountPath: '/var/log', subPathExpr: '$(POD_NAME)/$(MISSING)' },
              { name: 'cfg', mountPath: '/etc/cfg' },
            ],
          },
          {
            name: 'other',
            env: [{ name: 'IS_INJECTED', value: 'true' }],
            volumeMounts: [{ name: 'secretish', mountPath: '/secretish' }],
          },
        ],
      },
      one(
        {
          name: 'tail',
          shareVolumePolicy: { type: 'enabled' },
          volumeMounts: [{ name: 'cfg2', mountPath: '/etc/cfg' }],
        },
        { volumes: [{ name: 'cfg2', emptyDir: {} }] },
      ),
    )
    expect(injected.spec.containers[0]).toMatchObject({
      env: [
        { name: 'IS_INJECTED', value: 'true' },
        { name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
      ],
      volumeMounts: [
        { name: 'cfg2', mountPath: '/etc/cfg' },
        { name: 'logs', mountPath: '/var/log', subPathExpr: '$(POD_NAME)/$(MISSING)' },
      ],
    })
  })

  it('shares block devices whose path is free', () => {
    const injected = inject(
      {
        containers: [
          {
            name: 'app',
            volumeDevices: [
              { name: 'pvc-a', devicePath: '/dev/xvdb' },
              { name: 'pvc-b', devicePath: '/dev/xvda' },
              { name: 'pvc-c', devicePath: '/mnt/x' },
            ],
          },
        ],
      },
      one({
        name: 'disk',
        volumeDevices: [{ name: 'disk0', devicePath: '/dev/xvda' }],
        volumeMounts: [{ name: 'm', mountPath: '/mnt/x' }],
        shareVolumeDevicePolicy: { type: 'enabled' },
      }),
    )
    expect(injected.spec.containers[0]?.volumeDevices).toEqual([
      { name: 'disk0', devicePath: '/dev/xvda' },
      { name: 'pvc-a', devicePath: '/dev/xvdb' },
    ])
  })

  it('transfers variables behind its own and the mark, sorted within an entry', () => {
    const secret = { name: 'C', valueFrom: { secretKeyRef: { name: 's', key: 'c' } } }
    const injected = inject(
      {
        labels: { main: 'app' },
        containers: [{ name: 'app', env: [{ name: 'A', value: '1' }, { name: 'B', value: '2' }, secret] }],
      },
      one({
        name: 'a',
        env: [{ name: 'B', value: 'own' }],
        transferEnv: [
          {
            sourceContainerNameFrom: { fieldRef: { fieldPath: "metadata.labels['main']" } },
            envName: 'B',
            envNames: ['C', 'A'],
          },
          { sourceContainerName: 'nope', envName: 'Z' },
        ],
      }),
    )
    expect(injected.spec.containers[0]?.env).toEqual([
      { name: 'B', value: 'own' },
      { name: 'IS_INJECTED', value: 'true' },
      { name: 'A', value: '1' },
      secret,
    ])
  })

  it("keeps the pod's volume on a clash of names, and warns", () => {
    const subject = pod({ volumes: [{ name: 'logs', hostPath: { path: '/var/app' } }] })
    const set = one(
      { name: 'a', volumeMounts: [{ name: 'logs', mountPath: '/l' }] },
      { volumes: [{ name: 'logs', emptyDir: {} }] },
    )
    const plan = planInjection(subject, facts([set]))
    expect(applyPlan(subject, plan).spec.volumes).toEqual(subject.spec.volumes)
    expect(plan.warnings).toEqual([expect.stringContaining('volume logs of the pod is kept')])
  })

  it('joins pull secrets, the first of a name staying', () => {
    const secrets = (...list: string[]) => list.map((name) => ({ name }))
    const injected = inject(
      { imagePullSecrets: secrets('s2', 's3', 's3') },
      one({ name: 'a' }, { imagePullSecrets: secrets('s0', 's1', 's2') }),
    )
    expect(injected.spec.imagePullSecrets).toEqual(secrets('s2', 's3', 's0', 's1'))
  })

  it('patches annotations by policy', () => {
    const injected = inject(
      { annotations: { keep: 'old', j: '{"main":2}' } },
      sidecarSet('s1', {
        containers: [{ name: 'a', image }],
        patchPodMetadata: [
          { annotations: { j: '{"log":1}' }, patchPolicy: 'MergePatchJson' },
          { annotations: { keep: 'new' }, patchPolicy: 'Retain' },
          { annotations: { o: 'x' }, patchPolicy: 'Overwrite' },
        ],
      }),
      sidecarSet('s2', {
        containers: [{ name: 'b', image }],
        patchPodMetadata: [
          { annotations: { j: '{"main":null,"mesh":3}', k: '{"x":null}' }, patchPolicy: 'MergePatchJson' },
        ],
      }),
    )
    expect(injected.metadata.annotations).toMatchObject({
      keep: 'old',
      o: 'x',
      j: '{"log":1,"mesh":3}',
      k: '{"x":null}',
    })
  })

  it('refuses to merge into what is no JSON', () => {
    const set = one(
      { name: 'a' },
      { patchPodMetadata: [{ annotations: { j: '{}' }, patchPolicy: 'MergePatchJson' }] },
    )
    expect(() => inject({ annotations: { j: 'not-json' } }, set)).toThrow(InjectionFailure)
  })

  it('replaces a container of the same name in its place, and says so', () => {
    const subject = pod({ containers: [{ name: 'web' }, { name: 'agent', image: 'mine' }] })
    const plan = planInjection(subject, facts([one({ name: 'agent' })]))
    const injected = applyPlan(subject, plan)
    expect(injected.spec.containers.map((container) => [container.name, container.image])).toEqual([
      ['web', undefined],
      ['agent', image],
    ])
    expect(plan.containers).toMatchObject([{ name: 'agent', action: 'replace' }])
    expect(plan.warnings).toEqual([expect.stringContaining('container agent is replaced')])
  })

  it('makes two containers of one that is upgraded hot', () => {
    const mesh = sidecarSet('mesh-set', {
      containers: [
        {
          name: 'mesh',
          image: 'example/mesh:v1',
          upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'example/mesh:empty' },
          transferEnv: [{ sourceContainerName: 'web', envName: 'ZONE' }],
        },
      ],
    })
    const injected = inject({ containers: [{ name: 'web', env: [{ name: 'ZONE', value: 'a' }] }] }, mesh)
    expect(injected.metadata.annotations).toMatchObject({
      'kruise.io/sidecarset-working-hotupgrade-container': '{"mesh":"mesh-1"}',
      'version.sidecarset.kruise.io/mesh-1': '1',
      'versionalt.sidecarset.kruise.io/mesh-1': '0',
      'version.sidecarset.kruise.io/mesh-2': '0',
      'versionalt.sidecarset.kruise.io/mesh-2': '1',
    })
    expect(injected.spec.containers.map((container) => [container.name, container.image])).toEqual([
      ['mesh-1', 'example/mesh:v1'],
      ['mesh-2', 'example/mesh:empty'],
      ['web', undefined],
    ])
    expect(injected.spec.containers[1]?.env?.map(({ name }) => name)).toEqual([
      'IS_INJECTED',
      'ZONE',
      'SIDECARSET_VERSION',
      'SIDECARSET_VERSION_ALT',
    ])
  })

  it('takes a canary instead of its base, unless the canary is paused', () => {
    const base = sidecarSet('base', { containers: [{ name: 'agent', image: 'agent:1' }] })
    const canary = (paused: boolean) =>
      sidecarSet(
        'base-canary',
        {
          selector: { matchLabels: { app: 'web', canary: 'yes' } },
          containers: [{ name: 'agent', image: 'agent:2' }],
          injectionStrategy: { paused },
        },
        { 'apps.kruise.io/sidecarset-canary': 'true', 'apps.kruise.io/sidecarset-base': 'base' },
      )
    const labels = { canary: 'yes' }
    expect(inject({ labels }, base, canary(false)).spec.containers[0]?.image).toBe('agent:2')
    expect(inject({}, base, canary(false)).spec.containers[0]?.image).toBe('agent:1')
    expect(inject({ labels }, base, canary(true)).spec.containers[0]?.image).toBe('agent:1')
  })

  it("puts a native sidecar behind the pod's own init containers and lists it", () => {
    const native = sidecarSet('native', {
      initContainers: [{ name: 'proxy', image: 'example/proxy:1', restartPolicy: 'Always' }],
    })
    const injected = inject({ initContainers: [{ name: 'setup' }] }, native)
    expect(names(injected.spec.initContainers)).toEqual(['setup', 'proxy'])
    expect(injected.metadata.annotations?.['kruise.io/sidecarset-hash']).toContain('"sidecarList":["proxy"]')
  })

  it('gives a reason for every SidecarSet that came into question', () => {
    const elsewhere = one({ name: 'a' }, { namespaceSelector: { matchLabels: { team: 'x' } } })
    const plan = planInjection(pod(), facts([elsewhere]))
    expect(plan.injects).toBe(false)
    expect(plan.sidecarSets).toEqual([
      {
        sidecarSet: 's',
        isInjected: false,
        reason: 'the labels of namespace shop do not match its namespaceSelector',
      },
    ])
  })

  it('only adds to a pod that is bound already', () => {
    const set = sidecarSet('s', {
      initContainers: [
        { name: 'plain', image },
        { name: 'native', image, restartPolicy: 'Always' },
      ],
      containers: [
        { name: 'web', image },
        { name: 'new', image },
      ],
      imagePullSecrets: [{ name: 'p' }],
    })
    const plan = planInjection(pod(), { ...facts([set]), isLate: true })
    const injected = applyPlan(pod(), plan)
    expect(names(injected.spec.initContainers)).toEqual(['native'])
    expect(injected.spec.containers.map((container) => [container.name, container.image])).toEqual([
      ['new', image],
      ['web', 'example/web:1'],
    ])
    expect(injected.spec.imagePullSecrets).toBeUndefined()
    expect(plan.warnings).toHaveLength(2)
  })

  it('leaves out of a bound pod what two SidecarSets bring under one name, and half of a hot upgrade', () => {
    const set = (name: string, ...containers: string[]) =>
      sidecarSet(name, { containers: containers.map((container) => ({ name: container, image: name })) })
    const hot = sidecarSet('c', {
      containers: [
        { name: 'mesh', image, upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'e' } },
      ],
    })
    const subject = pod({ containers: [{ name: 'web' }, { name: 'mesh-2', image: 'mine' }] })
    const plan = planInjection(subject, {
      ...facts([set('a', 'log'), set('b', 'log', 'trace'), hot]),
      isLate: true,
    })
    const injected = applyPlan(subject, plan)
    expect(injected.spec.containers.map((container) => [container.name, container.image])).toEqual([
      ['log', 'a'],
      ['trace', 'b'],
      ['web', undefined],
      ['mesh-2', 'mine'],
    ])
    expect(plan.warnings).toEqual([
      'container mesh-1 of SidecarSet c is left out: the pod has a container mesh-2, which cannot be replaced any more',
      'container mesh-2 of SidecarSet c is left out: the pod has a container mesh-2, which cannot be replaced any more',
      'container log of SidecarSet b is left out: SidecarSet a brings one of this name',
    ])
    expect(injected.metadata.annotations).not.toHaveProperty(
      'kruise.io/sidecarset-working-hotupgrade-container',
    )
  })

  it('gives two SidecarSets the volume of the first, and warns the second', () => {
    const set = (name: string, volume: Volume) =>
      sidecarSet(name, {
        containers: [{ name: `of-${name}`, image, volumeMounts: [{ name: 'v', mountPath: '/v' }] }],
        volumes: [volume],
      })
    const sets = [
      set('a', { name: 'v', emptyDir: {} }),
      set('b', { name: 'v', emptyDir: {} }),
      set('c', { name: 'v', hostPath: { path: '/c' } }),
    ]
    const plan = planInjection(pod(), facts(sets))
    expect(applyPlan(pod(), plan).spec.volumes).toEqual([{ name: 'v', emptyDir: {} }])
    expect(plan.warnings).toEqual([
      'spec.volumes: volume v is the one of SidecarSet a; SidecarSet c defines another one of this name, which its containers will not see',
    ])
  })

  it('leaves a pod alone that has ended', () => {
    const ended = { ...pod(), status: { phase: 'Succeeded' as const } }
    expect(patchOf(ended, planInjection(ended, facts([one({ name: 'a' })])))).toEqual([])
  })
})

describe('any plan', () => {
  const someContainer = fc.record({
    name: fc.constantFrom('a', 'b', 'c', 'web'),
    image: fc.constant(image),
    podInjectPolicy: fc.constantFrom('BeforeAppContainer' as const, 'AfterAppContainer' as const),
    shareVolumePolicy: fc.record({ type: fc.constantFrom('enabled' as const, 'disabled' as const) }),
    volumeMounts: fc.uniqueArray(
      fc.record({ name: fc.constantFrom('v1', 'v2'), mountPath: fc.constantFrom('/1', '/2', '/3') }),
      { selector: ({ mountPath }) => mountPath, maxLength: 2 },
    ),
  })
  const someSpec = fc.record({
    containers: fc.uniqueArray(someContainer, { selector: ({ name }) => name, maxLength: 3 }),
    initContainers: fc
      .uniqueArray(someContainer, {
        selector: ({ name }) => name,
        maxLength: 2,
      })
      .map((list) => list.map((container) => ({ ...container, name: `init-${container.name}` }))),
    volumes: fc.constant<Volume[]>([
      { name: 'v1', configMap: { name: 'kube-system/config' } },
      { name: 'v2', emptyDir: {} },
    ]),
  })
  const somePod = fc
    .record({
      containers: fc.uniqueArray(
        fc.record({
          name: fc.constantFrom('web', 'helper', 'a'),
          volumeMounts: fc.constant<VolumeMount[]>([{ name: 'own', mountPath: '/own' }]),
        }),
        { selector: ({ name }) => name, minLength: 1 },
      ),
      isEci: fc.boolean(),
    })
    .map(({ containers, isEci }) =>
      pod({
        containers,
        volumes: [{ name: 'own', emptyDir: {} }],
        ...(isEci && { labels: { 'alibabacloud.com/eci': 'true' } }),
      }),
    )

  it('applied twice is the same as applied once, and its patch does what applying does', () => {
    fc.assert(
      fc.property(somePod, someSpec, (subject, spec) => {
        const known = facts([sidecarSet('s', spec)])
        const plan = planPod(subject, known)
        const once = applyPlan(subject, plan)
        expect(applyJsonPatch(subject, patchOf(subject, plan))).toEqual(once)
        const later = planPod(once, { ...known, time: '2026-02-02T00:00:00Z' })
        expect(applyPlan(once, later)).toEqual(once)
      }),
    )
  })

  it('never changes what it was given', () => {
    fc.assert(
      fc.property(somePod, someSpec, (subject, spec) => {
        const before = JSON.stringify(subject)
        applyPlan(subject, planPod(subject, facts([sidecarSet('s', spec)])))
        expect(JSON.stringify(subject)).toBe(before)
      }),
    )
  })
})
