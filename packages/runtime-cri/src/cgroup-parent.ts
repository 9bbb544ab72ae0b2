/** How the runtime makes cgroups: by folders of its own, or by asking systemd for slices. */
export type CgroupDriver = 'cgroupfs' | 'systemd'

/**
 * Where the containers of a pod live in the cgroup tree, in the form the driver understands:
 * `/outrigger/node-1/burstable/pod<uid>` or `outrigger-node_1-burstable-pod<uid>.slice`. Guaranteed pods
 * stand beside the other two classes, as a kubelet has it; the tree is not the kubelet's own, which removes
 * what it does not know.
 */
export function podCgroupParent(
  driver: CgroupDriver,
  nodeName: string,
  qosClass: string,
  podUid: string,
): string {
  const qos = qosClass === 'Guaranteed' ? [] : [qosClass.toLowerCase()]
  if (driver === 'cgroupfs') return ['', nodeCgroup(nodeName), ...qos, `pod${podUid}`].join('/')
  const parts = ['outrigger', nodeName, ...qos, `pod${podUid}`]
  return `${parts.map((part) => part.replaceAll('-', '_')).join('-')}.slice`
}

/** The folder of all nodes below each cgroup mount. */
export const cgroupTree = 'outrigger'

/** The folder of a node's pods below each cgroup mount (cgroupfs driver), without a leading slash. */
export function nodeCgroup(nodeName: string): string {
  return `${cgroupTree}/${nodeName}`
}
