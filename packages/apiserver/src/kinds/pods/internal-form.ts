import type { EphemeralContainer, PodSpec, PodTemplateSpec } from '@outrigger/kube'

/**
 * How Kubernetes' internal types print: capital field names, every field there. Refusals of pod updates show
 * differences in this form, and tools and people have come to read it.
 */
type Fields = Readonly<Record<string, Field>>
/** A zero value, or the name of the shape of what is inside (null when it is not there). */
type Field = '' | 0 | false | null | { readonly shape: string; readonly isStruct?: true }

const of = (shape: string): Field => ({ shape })
const struct = (shape: string): Field => ({ shape, isStruct: true })

const container: Fields = {
  Name: '',
  Image: '',
  Command: null,
  Args: null,
  WorkingDir: '',
  Ports: of('ContainerPort'),
  EnvFrom: of('EnvFromSource'),
  Env: of('EnvVar'),
  Resources: struct('ResourceRequirements'),
  ResizePolicy: of('ContainerResizePolicy'),
  RestartPolicy: null,
  RestartPolicyRules: null,
  VolumeMounts: of('VolumeMount'),
  VolumeDevices: of('VolumeDevice'),
  LivenessProbe: of('Probe'),
  ReadinessProbe: of('Probe'),
  StartupProbe: of('Probe'),
  Lifecycle: of('Lifecycle'),
  TerminationMessagePath: '',
  TerminationMessagePolicy: '',
  ImagePullPolicy: '',
  SecurityContext: of('SecurityContext'),
  Stdin: false,
  StdinOnce: false,
  TTY: false,
}

const handler: Fields = {
  Exec: of('ExecAction'),
  HTTPGet: of('HTTPGetAction'),
  TCPSocket: of('TCPSocketAction'),
}

const shapes: Readonly<Record<string, Fields>> = {
  PodSpec: {
    Volumes: of('Volume'),
    InitContainers: of('Container'),
    Containers: of('Container'),
    EphemeralContainers: of('EphemeralContainer'),
    RestartPolicy: '',
    TerminationGracePeriodSeconds: null,
    ActiveDeadlineSeconds: null,
    DNSPolicy: '',
    NodeSelector: null,
    ServiceAccountName: '',
    AutomountServiceAccountToken: null,
    NodeName: '',
    SecurityContext: of('PodSecurityContext'),
    ImagePullSecrets: of('LocalObjectReference'),
    Hostname: '',
    Subdomain: '',
    SetHostnameAsFQDN: null,
    Affinity: of('Affinity'),
    SchedulerName: '',
    Tolerations: of('Toleration'),
    HostAliases: of('HostAlias'),
    PriorityClassName: '',
    Priority: null,
    PreemptionPolicy: null,
    DNSConfig: of('PodDNSConfig'),
    ReadinessGates: of('PodReadinessGate'),
    RuntimeClassName: null,
    Overhead: null,
    EnableServiceLinks: null,
    TopologySpreadConstraints: of('TopologySpreadConstraint'),
    OS: of('PodOS'),
    SchedulingGates: of('PodSchedulingGate'),
    ResourceClaims: of('PodResourceClaim'),
    Resources: of('ResourceRequirements'),
    HostnameOverride: null,
    SchedulingGroup: of('PodSchedulingGroup'),
  },
  PodSecurityContext: {
    HostNetwork: false,
    HostPID: false,
    HostIPC: false,
    ShareProcessNamespace: null,
    HostUsers: null,
    SELinuxOptions: of('SELinuxOptions'),
    WindowsOptions: of('WindowsSecurityContextOptions'),
    RunAsUser: null,
    RunAsGroup: null,
    RunAsNonRoot: null,
    SupplementalGroups: null,
    SupplementalGroupsPolicy: null,
    FSGroup: null,
    FSGroupChangePolicy: null,
    Sysctls: of('Sysctl'),
    SeccompProfile: of('Profile'),
    AppArmorProfile: of('Profile'),
    SELinuxChangePolicy: null,
  },
  Container: container,
  EphemeralContainer: { ...container, TargetContainerName: '' },
  ContainerPort: { Name: '', HostPort: 0, ContainerPort: 0, Protocol: '', HostIP: '' },
  EnvVar: { Name: '', Value: '', ValueFrom: of('EnvVarSource') },
  EnvVarSource: {
    FieldRef: of('ObjectFieldSelector'),
    ResourceFieldRef: of('ResourceFieldSelector'),
    ConfigMapKeyRef: of('KeySelector'),
    SecretKeyRef: of('KeySelector'),
    FileKeyRef: of('FileKeySelector'),
  },
  EnvFromSource: { Prefix: '', ConfigMapRef: of('OptionalReference'), SecretRef: of('OptionalReference') },
  OptionalReference: { Name: '', Optional: null },
  KeySelector: { Name: '', Key: '', Optional: null },
  ObjectFieldSelector: { APIVersion: '', FieldPath: '' },
  ResourceFieldSelector: { ContainerName: '', Resource: '', Divisor: '' },
  ResourceRequirements: { Limits: null, Requests: null, Claims: of('ResourceClaim') },
  VolumeMount: {
    Name: '',
    ReadOnly: false,
    RecursiveReadOnly: null,
    MountPath: '',
    SubPath: '',
    MountPropagation: null,
    SubPathExpr: '',
  },
  Probe: {
    ...handler,
    GRPC: of('GRPCAction'),
    InitialDelaySeconds: 0,
    TimeoutSeconds: 0,
    PeriodSeconds: 0,
    SuccessThreshold: 0,
    FailureThreshold: 0,
    TerminationGracePeriodSeconds: null,
  },
  Lifecycle: { PostStart: of('LifecycleHandler'), PreStop: of('LifecycleHandler'), StopSignal: null },
  LifecycleHandler: { ...handler, Sleep: of('SleepAction') },
  HTTPGetAction: { Path: '', Port: 0, Host: '', Scheme: '', HTTPHeaders: of('HTTPHeader') },
  TCPSocketAction: { Port: 0, Host: '' },
  GRPCAction: { Port: 0, Service: null },
  SecurityContext: {
    Capabilities: of('Capabilities'),
    Privileged: null,
    SELinuxOptions: of('SELinuxOptions'),
    WindowsOptions: of('WindowsSecurityContextOptions'),
    RunAsUser: null,
    RunAsGroup: null,
    RunAsNonRoot: null,
    ReadOnlyRootFilesystem: null,
    AllowPrivilegeEscalation: null,
    ProcMount: null,
    SeccompProfile: of('Profile'),
    AppArmorProfile: of('Profile'),
  },
  Capabilities: { Add: null, Drop: null },
  Profile: { Type: '', LocalhostProfile: null },
  Toleration: { Key: '', Operator: '', Value: '', Effect: '', TolerationSeconds: null },
  Volume: {
    Name: '',
    HostPath: of('HostPathVolumeSource'),
    EmptyDir: of('EmptyDirVolumeSource'),
    GCEPersistentDisk: of('GCEPersistentDiskVolumeSource'),
    AWSElasticBlockStore: of('AWSElasticBlockStoreVolumeSource'),
    GitRepo: of('GitRepoVolumeSource'),
    Secret: of('SecretVolumeSource'),
    NFS: of('NFSVolumeSource'),
    ISCSI: of('ISCSIVolumeSource'),
    Glusterfs: of('GlusterfsVolumeSource'),
    PersistentVolumeClaim: of('PersistentVolumeClaimVolumeSource'),
    RBD: of('RBDVolumeSource'),
    Quobyte: of('QuobyteVolumeSource'),
    FlexVolume: of('FlexVolumeSource'),
    Cinder: of('CinderVolumeSource'),
    CephFS: of('CephFSVolumeSource'),
    Flocker: of('FlockerVolumeSource'),
    DownwardAPI: of('DownwardAPIVolumeSource'),
    FC: of('FCVolumeSource'),
    AzureFile: of('AzureFileVolumeSource'),
    ConfigMap: of('ConfigMapVolumeSource'),
    VsphereVolume: of('VsphereVirtualDiskVolumeSource'),
    AzureDisk: of('AzureDiskVolumeSource'),
    PhotonPersistentDisk: of('PhotonPersistentDiskVolumeSource'),
    Projected: of('ProjectedVolumeSource'),
    PortworxVolume: of('PortworxVolumeSource'),
    ScaleIO: of('ScaleIOVolumeSource'),
    StorageOS: of('StorageOSVolumeSource'),
    CSI: of('CSIVolumeSource'),
    Ephemeral: of('EphemeralVolumeSource'),
    Image: of('ImageVolumeSource'),
  },
  HostPathVolumeSource: { Path: '', Type: null },
  EmptyDirVolumeSource: { Medium: '', SizeLimit: null },
  SecretVolumeSource: { SecretName: '', Items: of('KeyToPath'), DefaultMode: null, Optional: null },
  ConfigMapVolumeSource: { Name: '', Items: of('KeyToPath'), DefaultMode: null, Optional: null },
  PersistentVolumeClaimVolumeSource: { ClaimName: '', ReadOnly: false },
  DownwardAPIVolumeSource: { Items: of('DownwardAPIVolumeFile'), DefaultMode: null },
  ProjectedVolumeSource: { Sources: of('VolumeProjection'), DefaultMode: null },
  VolumeProjection: {
    Secret: of('SecretProjection'),
    DownwardAPI: of('DownwardAPIProjection'),
    ConfigMap: of('SecretProjection'),
    ServiceAccountToken: of('ServiceAccountTokenProjection'),
    ClusterTrustBundle: of('ClusterTrustBundleProjection'),
    PodCertificate: of('PodCertificateProjection'),
  },
  SecretProjection: { Name: '', Items: of('KeyToPath'), Optional: null },
  DownwardAPIProjection: { Items: of('DownwardAPIVolumeFile') },
  DownwardAPIVolumeFile: {
    Path: '',
    FieldRef: of('ObjectFieldSelector'),
    ResourceFieldRef: of('ResourceFieldSelector'),
    Mode: null,
  },
  ServiceAccountTokenProjection: { Audience: '', ExpirationSeconds: 0, Path: '' },
  KeyToPath: { Key: '', Path: '', Mode: null },
}

/** Fields whose wire name is not the internal one with a small first letter. */
const wireNames: Readonly<Record<string, string>> = {
  APIVersion: 'apiVersion',
  AWSElasticBlockStore: 'awsElasticBlockStore',
  CephFS: 'cephfs',
  CSI: 'csi',
  DNSConfig: 'dnsConfig',
  DNSPolicy: 'dnsPolicy',
  FC: 'fc',
  FSGroup: 'fsGroup',
  FSGroupChangePolicy: 'fsGroupChangePolicy',
  GCEPersistentDisk: 'gcePersistentDisk',
  GRPC: 'grpc',
  HostIP: 'hostIP',
  HTTPGet: 'httpGet',
  HTTPHeaders: 'httpHeaders',
  ISCSI: 'iscsi',
  NFS: 'nfs',
  OS: 'os',
  RBD: 'rbd',
  SELinuxChangePolicy: 'seLinuxChangePolicy',
  SELinuxOptions: 'seLinuxOptions',
  StorageOS: 'storageos',
  TCPSocket: 'tcpSocket',
  TTY: 'tty',
}

const wireName = (field: string) => wireNames[field] ?? field.charAt(0).toLowerCase() + field.slice(1)

/** A pod spec as Kubernetes prints its internal form, one field a line. */
export function internalPodSpec(spec: PodSpec): string {
  return print(dumpPodSpec(spec))
}

/** A pod template in internal form: its metadata as on the wire, its spec beside it. */
export function internalTemplate({ metadata, spec }: PodTemplateSpec): object {
  const sorted = Object.fromEntries(
    Object.entries(metadata ?? {}).map(([key, value]) => [key, inOrder(value)]),
  )
  return { ...sorted, Spec: dumpPodSpec(spec ?? { containers: [] }) }
}

function dumpPodSpec(spec: PodSpec): unknown {
  // Internally, what a pod shares with its host is part of the security context.
  const { hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers, securityContext } = spec
  const whole = {
    ...spec,
    securityContext: { ...securityContext, hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers },
  }
  return dump(whole, 'PodSpec')
}

/** An ephemeral container as Kubernetes prints its internal form. */
export function internalEphemeralContainer(container: EphemeralContainer): string {
  return print(dump(container, 'EphemeralContainer'))
}

const print = (value: unknown) => JSON.stringify(value, undefined, 1)

function dump(value: object, shape: string): unknown {
  const fields = shapes[shape]
  const wire = value as Readonly<Record<string, unknown>>
  const dumped: Record<string, unknown> = {}
  if (fields === undefined) {
    // A type nobody needed the exact print of: the fields that are set.
    for (const key in wire) dumped[key.charAt(0).toUpperCase() + key.slice(1)] = wire[key]
    return dumped
  }
  for (const [field, kind] of Object.entries(fields)) dumped[field] = dumpField(wire[wireName(field)], kind)
  return dumped
}

function dumpField(value: unknown, kind: Field): unknown {
  if (typeof kind !== 'object' || kind === null) return inOrder(value ?? kind)
  if (value === undefined || value === null) return kind.isStruct ? dump({}, kind.shape) : null
  if (Array.isArray(value)) return value.map((item: object) => dump(item, kind.shape))
  return dump(value as object, kind.shape)
}

/** Maps are written in the order of their keys. */
function inOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)))
}
