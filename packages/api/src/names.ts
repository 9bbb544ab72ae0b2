import type { ResourceRef } from '@outrigger/kube'

const sidecarSetAt = (version: string): ResourceRef => ({
  group: 'apps.kruise.io',
  version,
  resource: 'sidecarsets',
  kind: 'SidecarSet',
  namespaced: false,
})

/** The resources this project defines. */
export const outriggerResources = {
  /** The version the manager itself reads and writes: it can say everything the other one can. */
  sidecarSets: sidecarSetAt('v1alpha1'),
  sidecarSetsV1beta1: sidecarSetAt('v1beta1'),
  sidecarSetResourceBindings: {
    group: 'sidecarset.alibabacloud.com',
    version: 'v1alpha1',
    resource: 'sidecarsetresourcebindings',
    kind: 'SidecarSetResourceBinding',
    namespaced: true,
  },
} as const satisfies Record<string, ResourceRef>

/** Annotations on a SidecarSet. */
export const sidecarSetAnnotations = {
  hash: 'kruise.io/sidecarset-hash',
  hashWithoutImage: 'kruise.io/sidecarset-hash-without-image',
  /** A canary if exactly `"true"` and `base` is not empty. */
  canary: 'apps.kruise.io/sidecarset-canary',
  base: 'apps.kruise.io/sidecarset-base',
  /** Ours, value `"true"`: images of native sidecars are upgraded in place as well. */
  updatesNativeSidecars: 'outrigger.dev/update-native-sidecars',
  /**
   * Ours: with `Ignore`, pods that the SidecarSet selects are created without it while no manager answers. With `Fail`, or
   * nothing, they are not; in kube-system only with `Fail`.
   */
  failurePolicy: 'outrigger.dev/failure-policy',
  /**
   * Ours: `evict` has pods that were created without the SidecarSet, because no webhook answered, evicted within
   * maxUnavailable, if the manager may. `evict-all` takes those along that run without it for any other reason, such as being
   * older than it. `report`, or nothing: an event tells of pods that were missed.
   */
  missedPods: 'outrigger.dev/missed-pods',
  /** Ours: how long pods stay out of their Services' endpoints before sidecars restart in place; see `drainTimeOf`. */
  drainBeforeRestart: 'outrigger.dev/drain-before-restart',
  /** Ours, a whole number: SidecarSets are injected in ascending order of it. See `injectionWeightOf`. */
  injectionWeight: 'outrigger.dev/injection-weight',
  /** Ours: what becomes of running pods when images change. See `changePolicies`. */
  onImageChange: 'outrigger.dev/on-image-change',
  /** Ours: what becomes of them when amounts of cpu and memory change. */
  onResourcesChange: 'outrigger.dev/on-resources-change',
  /** Ours: what becomes of them when anything else changes. */
  onOtherChange: 'outrigger.dev/on-other-change',
  /** Ours, kept by admission: since when it selects what it selects, if not since its creation. RFC 3339. */
  selectsSince: 'outrigger.dev/selects-since',
  /** Ours, a JSON list: versions in trial on some of the pods; see `Track`. */
  tracks: 'outrigger.dev/tracks',
  /** Ours: `Workload` gives all pods of a workload the same of several contents. `Pod`, or nothing: each pod by itself. */
  assignBy: 'outrigger.dev/assign-by',
} as const

/** Labels on a SidecarSet (v1alpha1 view) and on its ControllerRevisions. */
export const sidecarSetLabels = {
  customVersion: 'apps.kruise.io/sidecarset-custom-version',
  /** On revisions: the name of the SidecarSet. */
  name: 'kruise.io/sidecarset-name',
  revisionHash: 'controller.kubernetes.io/hash',
} as const

/** Annotations on a pod. */
export const podAnnotations = {
  /** JSON: SidecarSet name to what was injected of it. */
  hash: 'kruise.io/sidecarset-hash',
  hashWithoutImage: 'kruise.io/sidecarset-hash-without-image',
  /** Names of SidecarSets, sorted, joined by commas. */
  injectedList: 'kruise.io/sidecarset-injected-list',
  inPlaceUpdateState: 'kruise.io/sidecarset-inplace-update-state',
  workingHotUpgradeContainer: 'kruise.io/sidecarset-working-hotupgrade-container',
  /** Followed by the name of a pod container. */
  versionPrefix: 'version.sidecarset.kruise.io/',
  versionAltPrefix: 'versionalt.sidecarset.kruise.io/',
  /** Ours: which injected volumes name objects of other namespaces; see `InjectedReferences`. */
  injectedReferences: 'outrigger.dev/injected-references',
  /** Ours, JSON: the pod is about to be deleted, for its owner to make one that gets its sidecars at creation. */
  replacementMark: 'outrigger.dev/replaced-for-sidecars',
  /** Ours, JSON: SidecarSet name to the resizing of its containers that is under way. */
  resize: 'outrigger.dev/sidecar-resize',
  /** Ours, `NAME/UID`: the pod so deleted in whose place this one was created. */
  replaces: 'outrigger.dev/replaces-pod',
  /** Ours: drawn for a pod that had no name yet when it was chosen between contents; all later choices go by it. */
  trackSeed: 'outrigger.dev/track-seed',
} as const

/** Whether only injection may write this annotation of a pod. */
export function isInjectionAnnotation(key: string): boolean {
  return (
    key.startsWith('kruise.io/sidecarset-') ||
    key.startsWith(podAnnotations.versionPrefix) ||
    key.startsWith(podAnnotations.versionAltPrefix) ||
    key === podAnnotations.injectedReferences ||
    key === podAnnotations.resize
  )
}

/** Environment variables of injected containers. */
export const injectedEnv = {
  isInjected: 'IS_INJECTED',
  version: 'SIDECARSET_VERSION',
  versionAlt: 'SIDECARSET_VERSION_ALT',
} as const

/** Words by which pods get to virtual nodes. */
export const virtualNodeNames = {
  /** On a pod: its placement on a virtual node is certain and its sidecars are decided. Value `"true"`. */
  podLabel: 'serverless.alibabacloud.com/virtual-node',
  /** On a pod or a namespace, value `"true"`: run on a virtual node. */
  eciLabel: 'alibabacloud.com/eci',
  acsLabel: 'alibabacloud.com/acs',
  /** The older spelling on a pod, value `"true"`. */
  legacyPodLabel: 'eci',
  /** The older spelling on a namespace, value `enabled`. */
  legacyNamespaceLabel: 'virtual-node-affinity-injection',
  /** On a node, value `virtual-kubelet`. */
  nodeTypeLabel: 'type',
  nodeType: 'virtual-kubelet',
  /** Key of the taint that keeps other pods off virtual nodes. */
  taint: 'virtual-kubelet.io/provider',
  /** Group whose members are the virtual nodes; roles made from resource bindings are given to it. */
  group: 'outrigger:virtual-nodes',
} as const

/** Where an administrator says which annotations SidecarSets may patch, in the manager's own namespace. */
export const whitelistConfigMap = {
  name: 'kruise-configuration',
  key: 'SidecarSet_PatchPodMetadata_WhiteList',
} as const

/** Name of the pod condition that tells whether its SidecarSets can be upgraded in place. */
export const sidecarSetUpgradableCondition = 'SidecarSetUpgradable'

/**
 * Readiness gate, and type of the condition that opens it, of pods whose SidecarSets ask for a drain before restarts: by it
 * the manager takes a pod out of its Services and back in.
 */
export const inServiceGate = 'outrigger.dev/in-service'
