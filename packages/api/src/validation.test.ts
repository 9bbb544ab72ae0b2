import { formatFieldError } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { withTodaysSpelling } from './old-spelling.ts'
import type { SidecarContainer, SidecarSet, SidecarSetSpec } from './sidecar-set.ts'
import { defaultSidecarSet } from './sidecar-set-defaults.ts'
import { type SidecarSetFacts, sidecarSetErrors } from './validation.ts'
import { bindingErrors } from './validation-binding.ts'
import { overlap } from './validation-conflicts.ts'

function sidecarSet(
  name: string,
  spec: SidecarSetSpec,
  annotations: Record<string, string> = {},
): SidecarSet {
  return defaultSidecarSet({
    apiVersion: 'apps.kruise.io/v1alpha1',
    kind: 'SidecarSet',
    metadata: { name, annotations },
    spec: { selector: { matchLabels: { app: 'web' } }, containers: [{ name: 'agent', image: 'a' }], ...spec },
  })
}

function complaints(subject: SidecarSet, facts: Partial<SidecarSetFacts> = {}): string[] {
  return sidecarSetErrors(subject, { others: [], hasRevision: () => false, ...facts }).map(formatFieldError)
}

describe('validation of a SidecarSet', () => {
  it('accepts whole numbers as injection weights, and says of others what is meant', () => {
    const weighing = (weight: string) =>
      complaints(sidecarSet('s', {}, { 'outrigger.dev/injection-weight': weight }))
    expect(['-10000', '0', '+7', '10000'].flatMap(weighing)).toEqual([])
    expect(weighing('10001')).toEqual([
      'metadata.annotations[outrigger.dev/injection-weight]: Invalid value: "10001": must be a whole number from -10000 to 10000; the smallest is injected first, and 0 is where nothing is stated',
    ])
    expect(['', 'first', '1.5', '1e3', ' 1'].map((weight) => weighing(weight).length)).toEqual([
      1, 1, 1, 1, 1,
    ])
  })

  it('accepts a drain of 1s to 10m as Go writes it, and says of others what is meant', () => {
    const draining = (time: string) =>
      complaints(sidecarSet('s', {}, { 'outrigger.dev/drain-before-restart': time }))
    expect(['1s', '15s', '1m30s', '1.5m', '1000ms', '10m'].flatMap(draining)).toEqual([])
    expect(draining('15')).toEqual([
      'metadata.annotations[outrigger.dev/drain-before-restart]: Invalid value: "15": must be a duration from 1s to 10m: how long pods stay out of their Services before sidecars restart; write for example 15s, or remove the annotation',
    ])
    expect(['', '0', '999ms', '601s', '1h', '-5s', '5 s'].map((time) => draining(time).length)).toEqual(
      Array(7).fill(1),
    )
  })

  it('accepts a volume that names an object of another namespace', () => {
    const spec: SidecarSetSpec = {
      containers: [{ name: 'agent', image: 'a', volumeMounts: [{ name: 'config', mountPath: '/etc/a' }] }],
      volumes: [{ name: 'config', configMap: { name: 'kube-system/filebeat-config' } }],
    }
    expect(complaints(sidecarSet('s', spec))).toEqual([])
  })

  it.each<[string, SidecarSetSpec, RegExp]>([
    ['a dot in the name', {}, /^metadata.name/],
    ['an empty selector', { selector: {} }, /^spec.selector: Invalid value.*empty selector/],
    [
      'a native sidecar that would be rolled',
      { initContainers: [{ name: 'p', image: 'a', restartPolicy: 'Always' }] },
      /^spec.updateStrategy: Required value: init container p/,
    ],
    [
      'a mount without its volume',
      { containers: [{ name: 'a', image: 'a', volumeMounts: [{ name: 'nope', mountPath: '/x' }] }] },
      /^spec.containers\[0\].volumeMounts\[0\].name: Not found: "nope"/,
    ],
    [
      'a request above the limit',
      {
        containers: [
          { name: 'a', image: 'a', resources: { limits: { cpu: '1' }, requests: { cpu: '1100m' } } },
        ],
      },
      /must be less than or equal to cpu limit of 1/,
    ],
    ['a partition that is no percentage', { updateStrategy: { partition: 'x' } }, /partition: Invalid value/],
    [
      'a hot upgrade without an empty image',
      { containers: [{ name: 'a', image: 'a', upgradeStrategy: { upgradeType: 'HotUpgrade' } }] },
      /hotUpgradeEmptyImage: Required value/,
    ],
    [
      'a source container reference without a field',
      { containers: [{ name: 'a', image: 'a', transferEnv: [{ sourceContainerNameFrom: {} }] }] },
      /sourceContainerNameFrom.fieldRef: Required value/,
    ],
    [
      'a resourcesPolicy beside resources',
      {
        containers: [
          {
            name: 'a',
            image: 'a',
            resources: { limits: { cpu: '1' } },
            resourcesPolicy: { targetContainersMode: 'sum', resourcesExpr: { limits: { cpu: 'cpu' } } },
          },
        ],
      },
      /resourcesPolicy: Invalid value: "a": cannot be used together/,
    ],
    [
      'a resourcesPolicy whose expression can never be right',
      {
        containers: [
          {
            name: 'a',
            image: 'a',
            resourcesPolicy: {
              targetContainersMode: 'sum',
              targetContainersNameRegex: '.*',
              resourcesExpr: { limits: { cpu: 'cpu*cpu' } },
            },
          },
        ],
      },
      /resourcesExpr.limits.cpu: Invalid value: "cpu\*cpu"/,
    ],
    ...(
      [
        ['a container that restarts as it likes', { restartPolicy: 'Always' }, /restartPolicy: Forbidden/],
        [
          'a port that is none',
          { ports: [{ containerPort: 70_000 }] },
          /containerPort: Invalid value: 70000/,
        ],
        [
          'a variable from two sources',
          {
            env: [
              {
                name: 'A',
                valueFrom: { fieldRef: { fieldPath: 'x' }, secretKeyRef: { name: 's', key: 'k' } },
              },
            ],
          },
          /env\[0\].valueFrom/,
        ],
        [
          'a probe that does nothing',
          { livenessProbe: {} },
          /livenessProbe: Required value: must specify a handler/,
        ],
        [
          'a probe that does two things',
          { livenessProbe: { exec: { command: ['x'] }, tcpSocket: { port: 1 } } },
          /livenessProbe.tcpSocket: Forbidden/,
        ],
        ['a pull policy of its own', { imagePullPolicy: 'Sometimes' }, /imagePullPolicy: Unsupported value/],
        [
          'a device in the place of another',
          {
            volumeDevices: [
              { name: 'v', devicePath: '/d' },
              { name: 'v', devicePath: '/d' },
            ],
          },
          /volumeDevices\[1\].devicePath/,
        ],
      ] as const
    ).map(([what, container, complaint]): [string, SidecarSetSpec, RegExp] => [
      what,
      { containers: [{ name: 'a', image: 'a', ...container } as SidecarContainer] },
      complaint,
    ]),
    [
      'a volume of two kinds',
      { volumes: [{ name: 'v', emptyDir: {}, secret: { secretName: 's' } }] },
      /^spec.volumes\[0\].secret: Forbidden/,
    ],
    [
      'a patched annotation whose key is none',
      { patchPodMetadata: [{ annotations: { 'not a key': 'x' } }] },
      /^patchPodMetadata.annotations: Invalid value: "not a key"/,
    ],
    [
      'a revision that names nothing',
      { injectionStrategy: { revision: { policy: 'Partial' } } },
      /^revision: .*cannot both be empty/,
    ],
    [
      'a revision that is not recorded',
      { injectionStrategy: { revision: { customVersion: '1' } } },
      /^revision: Invalid value: "1": cannot find/,
    ],
  ])('refuses %s', (what, spec, complaint) => {
    const name = what === 'a dot in the name' ? 'a.b' : 's'
    expect(complaints(sidecarSet(name, spec))).toEqual([expect.stringMatching(complaint)])
  })

  it.each<[string, Partial<SidecarContainer>, RegExp]>([
    [
      'a key of a Secret',
      { env: [{ name: 'T', valueFrom: { secretKeyRef: { name: 'logging/token', key: 'k' } } }] },
      /env\[0\].valueFrom.secretKeyRef.name: Invalid value: "logging\/token".*mount the object as a volume/,
    ],
    [
      'a key of a ConfigMap',
      { env: [{ name: 'T', valueFrom: { configMapKeyRef: { name: 'a/b', key: 'k' } } }] },
      /configMapKeyRef.name: Invalid value/,
    ],
    [
      'a whole Secret',
      { envFrom: [{ secretRef: { name: 'a/b' } }] },
      /^spec.containers\[0\].envFrom\[0\].secretRef.name: Invalid value: "a\/b"/,
    ],
    ['nothing', { envFrom: [{ configMapRef: {} }] }, /envFrom\[0\].configMapRef.name: Required value/],
  ])(
    'refuses variables that take %s of another namespace, as Kubernetes would in every pod',
    (_, container, complaint) => {
      const spec = { containers: [{ image: 'a', ...container, name: 'agent' }] }
      expect(complaints(sidecarSet('s', spec))).toEqual([expect.stringMatching(complaint)])
    },
  )

  it('accepts a projected source of another namespace, as Kubernetes does', () => {
    const projected = { sources: [{ configMap: { name: 'a/b' } }, { secret: { name: 'a/c' } }] }
    expect(complaints(sidecarSet('s', { volumes: [{ name: 'v', projected }] }))).toEqual([])
  })

  const hot = (name: string): SidecarContainer => ({
    name,
    image: 'a',
    upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'e' },
  })

  it.each<[string, SidecarSetSpec, RegExp]>([
    [
      'beside a container of the name of one of the two',
      { containers: [hot('mesh'), { name: 'mesh-2', image: 'a' }] },
      /^spec.containers\[0\].name: Invalid value: "mesh".*becomes mesh-1 and mesh-2.*container mesh-2 would/,
    ],
    [
      'beside an init container of such a name',
      { containers: [hot('mesh')], initContainers: [{ name: 'mesh-1', image: 'a' }] },
      /becomes mesh-1 and mesh-2/,
    ],
    ['whose names would be too long', { containers: [hot('m'.repeat(62))] }, /no more than 61 characters/],
  ])('refuses a hot upgrade %s', (_, spec, complaint) => {
    expect(complaints(sidecarSet('s', spec))).toEqual([expect.stringMatching(complaint)])
  })

  it('lets a hot upgrade stand beside names that only look like it', () => {
    const spec: SidecarSetSpec = {
      containers: [hot('m'.repeat(61)), hot('mesh'), { name: 'mesh-3', image: 'a' }],
      // Plain init containers do not become two.
      initContainers: [hot('setup'), { name: 'setup-1', image: 'a' }],
    }
    expect(complaints(sidecarSet('s', spec))).toEqual([])
  })

  it.each<[string, SidecarSetSpec, RegExp]>([
    [
      'podInjectPolicy',
      { containers: [{ name: 'a', image: 'a', podInjectPolicy: 'First' as never }] },
      /podInjectPolicy: Unsupported value: "First": supported values: "AfterAppContainer", "BeforeAppContainer"/,
    ],
    [
      'shareVolumePolicy',
      { containers: [{ name: 'a', image: 'a', shareVolumePolicy: { type: 'on' as never } }] },
      /shareVolumePolicy: Unsupported value: "on": supported values: "disabled", "enabled"/,
    ],
    [
      'the revision policy',
      {
        customVersion: '1',
        injectionStrategy: { revision: { customVersion: '1', policy: 'Some' as never } },
      },
      /revision.policy: Unsupported value: "Some": supported values: "Always", "Partial"/,
    ],
    [
      'a label to transfer from that can be none',
      {
        containers: [
          {
            name: 'a',
            image: 'a',
            transferEnv: [{ sourceContainerNameFrom: { fieldRef: { fieldPath: "metadata.labels['a b']" } } }],
          },
        ],
      },
      /fieldPath: Invalid value: "metadata.labels\['a b'\]"/,
    ],
  ])('refuses words for %s that OpenKruise refuses, naming the others', (_, spec, complaint) => {
    expect(complaints(sidecarSet('s', spec))).toEqual([expect.stringMatching(complaint)])
  })

  it('accepts the unknown words that OpenKruise accepts, and says what becomes of them', () => {
    const draft = {
      updateStrategy: { type: 'Sometimes' },
      containers: [
        {
          name: 'agent',
          image: 'a',
          upgradeStrategy: { upgradeType: 'Warm' },
          shareVolumeDevicePolicy: { type: 'maybe' },
        },
      ],
      initContainers: [
        {
          name: 'init',
          image: 'a',
          podInjectPolicy: 'First',
          shareVolumePolicy: { type: 'on' },
          transferEnv: [{ sourceContainerNameFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } }],
        },
      ],
      patchPodMetadata: [{ annotations: { a: 'b' }, patchPolicy: 'Replace' }],
    }
    const subject = sidecarSet('s', draft as never)
    expect(complaints(subject)).toEqual([])
    const respelled = withTodaysSpelling(subject)
    expect(respelled.sidecarSet).toBe(subject)
    expect(respelled.warnings).toEqual([
      'spec.updateStrategy.type knows no "Sometimes", which counts as RollingUpdate with settings that nobody has checked; use RollingUpdate or NotUpdate',
      expect.stringMatching(/^spec.initContainers\[0\].shareVolumePolicy.type .* counts as disabled/),
      expect.stringMatching(/^spec.initContainers\[0\].podInjectPolicy .* counts as AfterAppContainer/),
      expect.stringMatching(/^spec.containers\[0\].upgradeStrategy.upgradeType .* counts as ColdUpgrade/),
      expect.stringMatching(/^spec.containers\[0\].shareVolumeDevicePolicy.type .* counts as disabled/),
      'spec.patchPodMetadata[0].patchPolicy knows no "Replace", which patches nothing; use Retain, Overwrite or MergePatchJson',
      expect.stringMatching(/^spec.initContainers\[0\].transferEnv\[0\].*nothing is transferred: it must be/),
    ])
  })

  it('accepts a revision that is the content being written', () => {
    const spec = { customVersion: '2', injectionStrategy: { revision: { customVersion: '2' } } }
    expect(complaints(sidecarSet('s', spec))).toEqual([])
  })

  it('lets native sidecars be rolled where the SidecarSet asks for it', () => {
    const spec: SidecarSetSpec = { initContainers: [{ name: 'p', image: 'a', restartPolicy: 'Always' }] }
    expect(complaints(sidecarSet('s', spec, { 'outrigger.dev/update-native-sidecars': 'true' }))).toEqual([])
  })

  it('refuses to add a container or to change its upgrade type on an update', () => {
    const old = sidecarSet('s', {})
    const added = sidecarSet('s', { containers: [{ name: 'other', image: 'a' }] })
    expect(complaints(added, { old })).toEqual([expect.stringMatching(/container not found/)])
    const hot = sidecarSet('s', {
      containers: [
        {
          name: 'agent',
          image: 'a',
          upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'e' },
        },
      ],
    })
    expect(complaints(hot, { old })).toEqual([expect.stringMatching(/field is immutable/)])
  })

  it('lets a stored SidecarSet be changed although it would not be accepted today, and refuses only what is new', () => {
    const stored: SidecarSetSpec = {
      containers: [
        { name: 'agent', image: 'a', upgradeStrategy: { upgradeType: 'HotUpgrade' } },
        { name: 'log', image: 'a' },
      ],
      selector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] },
    }
    const others = [sidecarSet('other', { containers: [{ name: 'log', image: 'b' }] })]
    const old = sidecarSet('s', stored)
    expect(complaints(old, { others })).toEqual([expect.stringMatching(/hotUpgradeEmptyImage: Required/)])
    const paused = sidecarSet('s', { ...stored, updateStrategy: { paused: true } })
    expect(complaints(paused, { old, others })).toEqual([])
    const worse = sidecarSet('s', { ...stored, updateStrategy: { partition: 'x' } })
    expect(complaints(worse, { old, others })).toEqual([expect.stringMatching(/partition: Invalid value/)])
    const wider = [...others, sidecarSet('third', { containers: [{ name: 'agent', image: 'b' }] })]
    expect(complaints(paused, { old, others: wider })).toEqual([])
    const selecting = sidecarSet('s', { ...stored, volumes: [{ name: 'v', emptyDir: {} }] })
    const rival = sidecarSet('rival', {
      volumes: [{ name: 'v', hostPath: { path: '/' } }],
      containers: [{ name: 'r', image: 'r' }],
    })
    expect(complaints(selecting, { old, others: [rival] })).toEqual([
      expect.stringMatching(/^spec.volumes: Invalid value: "v".*SidecarSet rival/),
    ])
  })

  it.each<[string, SidecarSetSpec, boolean]>([
    ['a SidecarSet of 63 characters', {}, true],
    ['a SidecarSet of 64 characters', {}, false],
    ['a container of 63 characters', { containers: [{ name: 'c'.repeat(63), image: 'a' }] }, true],
    ['a container of 64 characters', { containers: [{ name: 'c'.repeat(64), image: 'a' }] }, false],
    ['a volume of 63 characters', { volumes: [{ name: 'v'.repeat(63), emptyDir: {} }] }, true],
    ['a volume of 64 characters', { volumes: [{ name: 'v'.repeat(64), emptyDir: {} }] }, false],
    ['a label of 63 characters', { selector: { matchLabels: { ['k'.repeat(63)]: 'v'.repeat(63) } } }, true],
    ['a label of 64 characters', { selector: { matchLabels: { ['k'.repeat(64)]: 'v' } } }, false],
    ['a label value of 64 characters', { selector: { matchLabels: { k: 'v'.repeat(64) } } }, false],
    [
      'an annotation of 63 characters',
      { patchPodMetadata: [{ annotations: { [`example.com/${'k'.repeat(63)}`]: 'x' } }] },
      true,
    ],
    [
      'an annotation of 64 characters',
      { patchPodMetadata: [{ annotations: { [`example.com/${'k'.repeat(64)}`]: 'x' } }] },
      false,
    ],
    [
      'annotations of 256 KiB',
      { patchPodMetadata: [{ annotations: { k: 'x'.repeat(256 * 1024 - 1) } }] },
      true,
    ],
    [
      'annotations of a byte more',
      { patchPodMetadata: [{ annotations: { k: 'x'.repeat(256 * 1024) } }] },
      false,
    ],
  ])('knows the limits of names: %s', (what, spec, isAccepted) => {
    const name = 's'.repeat(
      what === 'a SidecarSet of 63 characters' ? 63 : what.startsWith('a SidecarSet') ? 64 : 1,
    )
    expect(complaints(sidecarSet(name, spec)).length).toBe(isAccepted ? 0 : 1)
  })

  it('refuses a priority whose selector is none', () => {
    const matchSelector = { matchExpressions: [{ key: 'a', operator: 'Is', values: ['b'] }] }
    const updateStrategy = { priorityStrategy: { weightPriority: [{ weight: 1, matchSelector }] } }
    expect(complaints(sidecarSet('s', { updateStrategy }))).toEqual([
      'spec.updateStrategy.priorityStrategy: Required value: matchSelector must be a label selector',
    ])
  })

  it('refuses a container name that another SidecarSet of the same pods uses, and names it', () => {
    const other = sidecarSet('other', {})
    expect(complaints(sidecarSet('s', {}), { others: [other] })).toEqual([
      expect.stringMatching(/"agent": the container name is already used by SidecarSet other/),
    ])
    const elsewhere = sidecarSet('s', { selector: { matchLabels: { app: 'db' } } })
    expect(complaints(elsewhere, { others: [other] })).toEqual([])
  })

  it('lets a canary and its base be updated side by side', () => {
    const base = sidecarSet('base', {})
    const canary = sidecarSet(
      'canary',
      { updateStrategy: { type: 'NotUpdate' } },
      { 'apps.kruise.io/sidecarset-canary': 'true', 'apps.kruise.io/sidecarset-base': 'base' },
    )
    expect(complaints(canary, { others: [base] })).toEqual([])
    expect(complaints(base, { others: [canary] })).toEqual([])
    expect(complaints(canary)).toEqual([expect.stringMatching(/base SidecarSet does not exist/)])
  })
})

describe('overlap of selectors', () => {
  const label = (value: string) => ({ matchLabels: { a: value } })
  const expression = (operator: string, ...values: string[]) => ({
    matchExpressions: [{ key: 'a', operator, values }],
  })

  it.each([
    [label('x'), label('x'), true],
    [label('x'), label('y'), false],
    [label('x'), { matchLabels: { b: 'x' } }, true],
    [expression('In', 'x', 'y'), expression('In', 'y', 'z'), true],
    [expression('In', 'x'), expression('NotIn', 'x'), false],
    [expression('Exists'), label('x'), true],
    [expression('Exists'), { matchLabels: { b: 'x' } }, true],
    [expression('DoesNotExist'), label('x'), false],
  ])('of %j and %j is %s', (left, right, expected) => {
    expect(overlap(left, right)).toBe(expected)
    expect(overlap(right, left)).toBe(expected)
  })
})

it('a binding must hold exact names', () => {
  const errors = bindingErrors({
    apiVersion: 'sidecarset.alibabacloud.com/v1alpha1',
    kind: 'SidecarSetResourceBinding',
    metadata: { name: 'b', namespace: 'kube-system' },
    spec: {
      subjects: [{ kind: 'SidecarSet', name: 'filebeat' }],
      resourceRefs: [
        { kind: 'Secret', name: '*' },
        { kind: 'ConfigMap', name: 'other/config' },
        { kind: 'ConfigMap', name: 'config' },
      ],
    },
  })
  expect(errors.map(({ field }) => field)).toEqual(['spec.resourceRefs[0].name', 'spec.resourceRefs[1].name'])
})
