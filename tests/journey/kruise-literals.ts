/**
 * What OpenKruise prints for a handful of SidecarSets: hashes, revision names and revision data. All of it is written
 * down here rather than computed: the vectors of its specification, and others made by the same published rules with a
 * program that shares nothing with this repository.
 */

/** By image of the container `agent`: the annotation `kruise.io/sidecarset-hash`, and the end of the revision's name. */
export const agentHashes: Readonly<Record<string, { readonly hash: string; readonly revision: string }>> = {
  '1.0': {
    hash: 'x5cxb2bd4bw9xx9zdvfd8f465ddzxf2zwxvv4c8xxf24254x494c28547wcbcwb8',
    revision: '7c9ccc6db4',
  },
  '1.1': {
    hash: '294fx7z4d55d4fz8b2fv47xx8cz9z226z646zczx98wx65x59fb55d685b4bz87c',
    revision: '85c5ccd687',
  },
  '1.2': {
    hash: '4448c84czf6w74cd8c7fw7cczxxx5fw4zdz64f5dxdbwff77d22b5v656fw9f875',
    revision: '7966779546',
  },
}

/** The hash without image of all of them. */
export const agentWithoutImage = '4244xxf452d4w5f48vx2476dxf44f8c5xf8b4c7xxzxf46w8w6557w4828455d5b'

/** The same container with a variable more. */
export const agentWithLevel = {
  hash: '7fwcdf6dw42dxf29x77bz4c7vvv8877b22d7zcf2b5987c46zvbvvf2f5x2fb9zx',
  withoutImage: 'b5cf8f8f8x2f42v7z4572f5w4z9d627477xz544f4xv5w898vz9fcf685997b9ww',
  revision: '7474bf775c',
}

/** The end of the name under which the first releases recorded the content with image 1.0: they wrote less down. */
export const firstRevision = '6b577c67ff'

/** By version of the container `mesh`, which is upgraded hot. */
export const meshHashes = {
  v1: {
    hash: 'cf9fx4db98275wz4zcvd585bbb7v8x477586c496bzxvvzc9z2fzb7z72z55xzx5',
    revision: '54dc98d875',
  },
  v2: {
    hash: '2fb476b448b29f897b9b428fxdd2wfb4cwcf57d4999z75w6d4cwdd544486v855',
    revision: '866c84b9f4',
  },
} as const

export const meshWithoutImage = '6z9c89f2v44bwfxz64648b78w77v44bbw7bd7fw4f7w2cf65b448955v8bxvc5z7'

/** The native sidecar `proxy`. */
export const proxyHashes = {
  hash: 'w55v74bbx95x8f5fdd8f27x4c547bw662vx658fvzc6c5w9v4d6744b44fw6b478',
  withoutImage: 'dbv24zcxz82xb56b27c46fw9v28fx6f84fvw2vw27dfcwc285x4vc9zzd4478cfx',
  revision: '6c9b7d95f7',
}

const agentData = (image: string, env = '') =>
  `{"spec":{"$patch":"replace","containers":[{${env}"image":"example/agent:${image}","imagePullPolicy":"IfNotPresent","name":"agent","podInjectPolicy":"BeforeAppContainer","resources":{},"shareVolumePolicy":{"type":"disabled"},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","upgradeStrategy":{"upgradeType":"ColdUpgrade"},"volumeMounts":[{"mountPath":"/data","name":"agent-data"}]}],"imagePullSecrets":null,"initContainers":null,"patchPodMetadata":null,"volumes":[{"emptyDir":{},"name":"agent-data"}]}}`

const meshData = (version: string) =>
  `{"spec":{"$patch":"replace","containers":[{"image":"example/mesh:${version}","imagePullPolicy":"IfNotPresent","name":"mesh","podInjectPolicy":"BeforeAppContainer","resources":{},"shareVolumePolicy":{"type":"disabled"},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","upgradeStrategy":{"hotUpgradeEmptyImage":"example/mesh:empty","upgradeType":"HotUpgrade"}}],"imagePullSecrets":null,"initContainers":null,"patchPodMetadata":null,"volumes":null}}`

/** The data of ControllerRevisions, by the end of their names. */
export const revisionTexts: Readonly<Record<string, string>> = {
  '7c9ccc6db4': agentData('1.0'),
  '85c5ccd687': agentData('1.1'),
  '7966779546': agentData('1.2'),
  [firstRevision]: agentData('1.0')
    .replace('"$patch":"replace",', '')
    .replace('"patchPodMetadata":null,', ''),
  '7474bf775c': agentData('1.0', '"env":[{"name":"LEVEL","value":"info"}],'),
  '54dc98d875': meshData('v1'),
  '866c84b9f4': meshData('v2'),
  '6c9b7d95f7': `{"spec":{"$patch":"replace","containers":null,"imagePullSecrets":null,"initContainers":[{"image":"example/proxy:1","imagePullPolicy":"IfNotPresent","name":"proxy","podInjectPolicy":"AfterAppContainer","resources":{},"restartPolicy":"Always","shareVolumePolicy":{"type":"disabled"},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","upgradeStrategy":{"upgradeType":"ColdUpgrade"}}],"patchPodMetadata":null,"volumes":null}}`,
}
