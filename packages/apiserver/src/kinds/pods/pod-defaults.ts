import type {
  Container,
  EphemeralContainer,
  HTTPGetAction,
  Lifecycle,
  LifecycleHandler,
  Pod,
  PodSpec,
  PodTemplateSpec,
  Probe,
  Volume,
} from '@outrigger/kube'

type AnyContainer = Container | EphemeralContainer

/** Defaults of a Pod: those of its spec, and those only a pod (no template) gets. */
export function applyPodDefaults(pod: Pod): void {
  const { spec } = pod
  if (spec === undefined) return
  // Before the spec's own defaults: requests follow limits in pods only.
  for (const container of spec.containers ?? []) requestWhatIsLimited(container)
  for (const container of spec.initContainers ?? []) requestWhatIsLimited(container)
  spec.enableServiceLinks ??= true
  applyPodSpecDefaults(spec)
  if (spec.hostNetwork) {
    for (const container of spec.containers ?? []) openHostPorts(container)
    for (const container of spec.initContainers ?? []) openHostPorts(container)
  }
}

/** Defaults of a pod template, wherever it occurs. */
export function applyTemplateDefaults(template: PodTemplateSpec | undefined): void {
  if (template?.spec !== undefined) applyPodSpecDefaults(template.spec)
}

/** `SetDefaults_PodSpec` of k8s.io/kubernetes/pkg/apis/core/v1/defaults.go, and those of everything below. */
export function applyPodSpecDefaults(spec: PodSpec): void {
  spec.dnsPolicy ??= 'ClusterFirst'
  spec.restartPolicy ??= 'Always'
  spec.securityContext ??= {}
  spec.terminationGracePeriodSeconds ??= 30
  spec.schedulerName ??= 'default-scheduler'
  // `serviceAccount` is the old name of `serviceAccountName`; the server keeps both alike.
  const serviceAccount = spec.serviceAccountName ?? spec.serviceAccount
  if (serviceAccount !== undefined) {
    if (spec.serviceAccountName !== serviceAccount) spec.serviceAccountName = serviceAccount
    if (spec.serviceAccount !== serviceAccount) spec.serviceAccount = serviceAccount
  }
  for (const volume of spec.volumes ?? []) applyVolumeDefaults(volume)
  for (const container of spec.initContainers ?? []) applyContainerDefaults(container)
  for (const container of spec.containers ?? []) applyContainerDefaults(container)
  for (const container of spec.ephemeralContainers ?? []) applyContainerDefaults(container)
}

function applyContainerDefaults(container: AnyContainer): void {
  container.terminationMessagePath ??= '/dev/termination-log'
  container.terminationMessagePolicy ??= 'File'
  container.imagePullPolicy ??= isLatest(container.image ?? '') ? 'Always' : 'IfNotPresent'
  if (container.ports !== undefined) for (const port of container.ports) port.protocol ??= 'TCP'
  if (container.env !== undefined)
    for (const variable of container.env) {
      const field = variable.valueFrom?.fieldRef
      if (field !== undefined) field.apiVersion ??= 'v1'
    }
  if (container.livenessProbe !== undefined) applyProbeDefaults(container.livenessProbe)
  if (container.readinessProbe !== undefined) applyProbeDefaults(container.readinessProbe)
  if (container.startupProbe !== undefined) applyProbeDefaults(container.startupProbe)
  if (container.lifecycle !== undefined) applyLifecycleDefaults(container.lifecycle)
}

/** Whether an image names the tag `latest`, openly or by naming neither tag nor digest. */
function isLatest(image: string): boolean {
  if (image === '' || image.includes('@')) return false
  const tag = image.indexOf(':', image.lastIndexOf('/') + 1)
  return tag < 0 || image.slice(tag + 1) === 'latest'
}

function applyProbeDefaults(probe: Probe): void {
  probe.timeoutSeconds ??= 1
  probe.periodSeconds ??= 10
  probe.successThreshold ??= 1
  probe.failureThreshold ??= 3
  if (probe.httpGet !== undefined) applyHttpDefaults(probe.httpGet)
  if (probe.grpc !== undefined) probe.grpc.service ??= ''
}

function applyLifecycleDefaults(lifecycle: Lifecycle): void {
  applyHandlerDefaults(lifecycle.postStart)
  applyHandlerDefaults(lifecycle.preStop)
}

function applyHandlerDefaults(handler: LifecycleHandler | undefined): void {
  if (handler?.httpGet !== undefined) applyHttpDefaults(handler.httpGet)
}

function applyHttpDefaults(action: HTTPGetAction): void {
  action.path ??= '/'
  action.scheme ??= 'HTTP'
}

const defaultMode = 0o644

function applyVolumeDefaults(volume: Volume): void {
  if (volume.configMap !== undefined) volume.configMap.defaultMode ??= defaultMode
  else if (volume.secret !== undefined) volume.secret.defaultMode ??= defaultMode
  else if (volume.projected !== undefined) {
    volume.projected.defaultMode ??= defaultMode
    for (const source of volume.projected.sources ?? []) {
      if (source.serviceAccountToken !== undefined) source.serviceAccountToken.expirationSeconds ??= 3600
      for (const file of source.downwardAPI?.items ?? [])
        if (file.fieldRef !== undefined) file.fieldRef.apiVersion ??= 'v1'
    }
  } else if (volume.downwardAPI !== undefined) {
    volume.downwardAPI.defaultMode ??= defaultMode
    for (const file of volume.downwardAPI.items ?? [])
      if (file.fieldRef !== undefined) file.fieldRef.apiVersion ??= 'v1'
  } else if (volume.hostPath !== undefined) volume.hostPath.type ??= ''
  else if (volume.ephemeral !== undefined) {
    const claim = volume.ephemeral.volumeClaimTemplate?.spec
    if (claim !== undefined) claim.volumeMode ??= 'Filesystem'
  } else if (volume.image !== undefined)
    volume.image.pullPolicy ??= isLatest(volume.image.reference ?? '') ? 'Always' : 'IfNotPresent'
  else applyRareVolumeDefaults(volume)
}

function applyRareVolumeDefaults(volume: Volume): void {
  if (volume.iscsi !== undefined) volume.iscsi.iscsiInterface ??= 'default'
  else if (volume.rbd !== undefined) {
    volume.rbd.pool ??= 'rbd'
    volume.rbd.user ??= 'admin'
    volume.rbd.keyring ??= '/etc/ceph/keyring'
  } else if (volume.azureDisk !== undefined) {
    volume.azureDisk.cachingMode ??= 'ReadWrite'
    volume.azureDisk.kind ??= 'Shared'
    volume.azureDisk.fsType ??= 'ext4'
    volume.azureDisk.readOnly ??= false
  } else if (volume.scaleIO !== undefined) {
    volume.scaleIO.storageMode ??= 'ThinProvisioned'
    volume.scaleIO.fsType ??= 'xfs'
  } else if (Object.keys(volume).every((field) => field === 'name')) volume.emptyDir = {}
}

function requestWhatIsLimited(container: Container): void {
  const limits = container.resources?.limits
  if (limits === undefined || container.resources === undefined) return
  for (const name in limits) {
    const requests = container.resources.requests
    if (requests?.[name] !== undefined) continue
    // A new map only when there is something to add: what is in shape already may be frozen.
    if (requests === undefined) container.resources.requests = { [name]: limits[name] as string }
    else requests[name] = limits[name] as string
  }
}

function openHostPorts(container: Container): void {
  for (const port of container.ports ?? []) if (!port.hostPort) port.hostPort = port.containerPort
}
