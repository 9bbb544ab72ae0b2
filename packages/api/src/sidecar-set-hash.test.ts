import { describe, expect, it } from 'vitest'
import { sha256Hex } from './sha256.ts'
import type { SidecarSetSpec } from './sidecar-set.ts'
import { withDefaults } from './sidecar-set-defaults.ts'
import { hashText, sidecarSetHashes } from './sidecar-set-hash.ts'
import { revisionData, revisionName } from './sidecar-set-revision.ts'

const plain = { name: 'container1', image: 'test-image' }
const agent = {
  name: 'agent',
  image: 'example/agent:1.0',
  volumeMounts: [{ name: 'agent-data', mountPath: '/data' }],
}
const mesh: SidecarSetSpec = {
  containers: [
    {
      name: 'mesh',
      image: 'example/mesh:v1',
      upgradeStrategy: { upgradeType: 'HotUpgrade', hotUpgradeEmptyImage: 'example/mesh:empty' },
    },
  ],
}
const proxy: SidecarSetSpec = {
  initContainers: [{ name: 'proxy', image: 'example/proxy:1', restartPolicy: 'Always' }],
}

describe('hashes of a SidecarSet', () => {
  it.each([
    [
      'one container',
      { containers: [plain] },
      'w26c4x8fz245642fdv499b464248f974xddx4x55z5dw55bc6x66464fxz77dc78',
      '8wzddb4dvv9c6x8zdc77z4z75987424f457dfv6724ddw6zbdx467wz5x24fc759',
    ],
    [
      'a native sidecar beside it',
      { containers: [plain], initContainers: [{ ...plain, restartPolicy: 'Always' as const }] },
      '4xwx4d4844vd4v9x79wb4xbxf4xb29475cc4446v8cz2c2f2f5c5bw448vd42z8w',
      '5725fw8bwbx249bw57v5892c847dzf48bww9zb7c86xb95264fdz26654847b2c8',
    ],
    [
      'defaults of everything',
      withDefaults({ containers: [{ name: 'dns-f', image: 'dns:1.0' }] }),
      '6wbd76bd7984x24fb4f44fv9222cw9v9bcf85x766744wddd4zwx927zzz2zb684',
      '82684vwf9d4cb4wz4vffx4ddfbb47ww4z4wwxdbwb8w2zbb7zvf4524cdd49bv94',
    ],
    [
      'a volume mount',
      withDefaults({ containers: [agent] }),
      'x5cxb2bd4bw9xx9zdvfd8f465ddzxf2zwxvv4c8xxf24254x494c28547wcbcwb8',
      '4244xxf452d4w5f48vx2476dxf44f8c5xf8b4c7xxzxf46w8w6557w4828455d5b',
    ],
    [
      'a newer image',
      withDefaults({ containers: [{ ...agent, image: 'example/agent:1.1' }] }),
      '294fx7z4d55d4fz8b2fv47xx8cz9z226z646zczx98wx65x59fb55d685b4bz87c',
      '4244xxf452d4w5f48vx2476dxf44f8c5xf8b4c7xxzxf46w8w6557w4828455d5b',
    ],
    [
      'a hot upgrade',
      withDefaults(mesh),
      'cf9fx4db98275wz4zcvd585bbb7v8x477586c496bzxvvzc9z2fzb7z72z55xzx5',
      '6z9c89f2v44bwfxz64648b78w77v44bbw7bd7fw4f7w2cf65b448955v8bxvc5z7',
    ],
    [
      'native sidecars only',
      withDefaults(proxy),
      'w55v74bbx95x8f5fdd8f27x4c547bw662vx658fvzc6c5w9v4d6744b44fw6b478',
      'dbv24zcxz82xb56b27c46fw9v28fx6f84fvw2vw27dfcwc285x4vc9zzd4478cfx',
    ],
  ])('agree with OpenKruise for %s', (_, spec, hash, hashWithoutImage) => {
    expect(sidecarSetHashes(spec)).toEqual({ hash, hashWithoutImage })
  })

  it('tell a missing list from an empty one', () => {
    expect(sidecarSetHashes({}).hash).toBe('x5vwx9w6vv4dv72c9w4c2f6v74fbwx545b45bbfz6z2dvf8w887xw86fvcb4cf48')
    expect(sidecarSetHashes({ containers: [] }).hash).toBe(
      '5662x672v59974vdzvf4bdfwc4v526wx5w7884vx5c7fc2f246v484v5988xb9z7',
    )
  })

  it('do not change when fields are written in another order or quantities in another form', () => {
    const left = { name: 'a', image: 'b', resources: { limits: { memory: '1024Mi', cpu: '0.5' } } }
    const right = { resources: { limits: { cpu: '500m', memory: '1Gi' } }, image: 'b', name: 'a' }
    expect(sidecarSetHashes({ containers: [left] })).toEqual(sidecarSetHashes({ containers: [right] }))
    expect(hashText({ containers: [left] })).toContain('"limits":{"cpu":"500m","memory":"1Gi"}')
  })

  it('escape what Go escapes, keep set zeros and drop unknown fields', () => {
    const container = {
      name: 'a',
      args: ['a<b>&\u2028'],
      tty: false,
      securityContext: { privileged: false, runAsUser: 0 },
      livenessProbe: { grpc: { port: 1 } },
      unknown: 1,
    }
    expect(hashText({ containers: [container] })).toBe(
      '{"containers":[{"name":"a","args":["a\\u003cb\\u003e\\u0026\\u2028"],"resources":{},' +
        '"livenessProbe":{"grpc":{"port":1,"service":null}},' +
        '"securityContext":{"privileged":false,"runAsUser":0},"upgradeStrategy":{},"shareVolumePolicy":{}}]}',
    )
  })
})

describe('revision of a SidecarSet', () => {
  const spec = withDefaults({ containers: [agent], volumes: [{ name: 'agent-data' }] })

  it('has the recorded data and the name OpenKruise gives it', () => {
    expect(revisionData(spec)).toBe(
      '{"spec":{"$patch":"replace","containers":[{"image":"example/agent:1.0","imagePullPolicy":"IfNotPresent","name":"agent","podInjectPolicy":"BeforeAppContainer","resources":{},"shareVolumePolicy":{"type":"disabled"},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","upgradeStrategy":{"upgradeType":"ColdUpgrade"},"volumeMounts":[{"mountPath":"/data","name":"agent-data"}]}],"imagePullSecrets":null,"initContainers":null,"patchPodMetadata":null,"volumes":[{"emptyDir":{},"name":"agent-data"}]}}',
    )
    expect(revisionName('agents', spec, 0)).toBe('agents-7c9ccc6db4')
    expect(revisionName('agents', spec, 1)).toBe('agents-7c9ccc6db5')
  })
})

it('SHA-256 gives the published digests, also where the padding needs a second block', () => {
  expect(sha256Hex('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  expect(sha256Hex('abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq')).toBe(
    '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
  )
})

it.each([
  ['agent', 'Always'],
  ['agent:1.0', 'IfNotPresent'],
  ['agent:latest', 'Always'],
  ['registry.example:5000/team/agent', 'Always'],
  ['localhost:5000/agent:1', 'IfNotPresent'],
  ['Registry/agent', 'Always'],
  ['a__b', 'Always'],
  [`agent@sha256:${'a'.repeat(64)}`, 'IfNotPresent'],
  // What is no image name at all.
  ['team/Agent', 'IfNotPresent'],
  ['a..b', 'IfNotPresent'],
  ['a___b', 'IfNotPresent'],
  ['', 'IfNotPresent'],
  [`${'a-'.repeat(50_000)}!`, 'IfNotPresent'],
])('the pull policy of %.40s is %s unless said', (image, policy) => {
  const [container] = withDefaults({ containers: [{ name: 'c', image }] }).containers ?? []
  expect(container?.imagePullPolicy).toBe(policy)
})
