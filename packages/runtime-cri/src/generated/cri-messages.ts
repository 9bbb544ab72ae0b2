// Made by tools/generate-cri-descriptor.ts from packages/runtime-cri/proto. Do not edit.

export interface SubscribeRequest {
  filters?: string[] | undefined
}

export interface AnyEvent {
  typeUrl?: string | undefined
  value?: Uint8Array | undefined
}

export interface Envelope {
  namespace?: string | undefined
  topic?: string | undefined
  event?: AnyEvent | undefined
}

export interface TaskStart {
  containerId?: string | undefined
  pid?: number | undefined
}

export interface TaskExit {
  containerId?: string | undefined
  id?: string | undefined
  pid?: number | undefined
  exitStatus?: number | undefined
}

export interface TaskOOM {
  containerId?: string | undefined
}

export interface TaskDelete {
  containerId?: string | undefined
  pid?: number | undefined
  exitStatus?: number | undefined
  id?: string | undefined
}

export interface VersionRequest {
  version?: string | undefined
}

export interface VersionResponse {
  version?: string | undefined
  runtimeName?: string | undefined
  runtimeVersion?: string | undefined
  runtimeApiVersion?: string | undefined
}

export interface StatusRequest {
  verbose?: boolean | undefined
}

export interface StatusResponse {
  status?: RuntimeStatus | undefined
  info?: Record<string, string> | undefined
}

export interface RuntimeStatus {
  conditions?: RuntimeCondition[] | undefined
}

export interface RuntimeCondition {
  type?: string | undefined
  status?: boolean | undefined
  reason?: string | undefined
  message?: string | undefined
}

export type Protocol = 'TCP' | 'UDP' | 'SCTP'

export type NamespaceMode = 'POD' | 'CONTAINER' | 'NODE' | 'TARGET'

export type PodSandboxState = 'SANDBOX_READY' | 'SANDBOX_NOTREADY'

export interface PodSandboxMetadata {
  name?: string | undefined
  uid?: string | undefined
  namespace?: string | undefined
  attempt?: number | undefined
}

export interface DNSConfig {
  servers?: string[] | undefined
  searches?: string[] | undefined
  options?: string[] | undefined
}

export interface PortMapping {
  protocol?: Protocol | undefined
  containerPort?: number | undefined
  hostPort?: number | undefined
  hostIp?: string | undefined
}

export interface Int64Value {
  value?: number | undefined
}

export interface UInt64Value {
  value?: number | undefined
}

export interface NamespaceOption {
  network?: NamespaceMode | undefined
  pid?: NamespaceMode | undefined
  ipc?: NamespaceMode | undefined
  targetId?: string | undefined
}

export interface SecurityProfile {
  profileType?: ProfileType | undefined
  localhostRef?: string | undefined
}

export type ProfileType = 'RuntimeDefault' | 'Unconfined' | 'Localhost'

export interface LinuxSandboxSecurityContext {
  namespaceOptions?: NamespaceOption | undefined
  runAsUser?: Int64Value | undefined
  readonlyRootfs?: boolean | undefined
  supplementalGroups?: number[] | undefined
  privileged?: boolean | undefined
  runAsGroup?: Int64Value | undefined
  seccomp?: SecurityProfile | undefined
}

export interface LinuxPodSandboxConfig {
  cgroupParent?: string | undefined
  securityContext?: LinuxSandboxSecurityContext | undefined
  sysctls?: Record<string, string> | undefined
}

export interface PodSandboxConfig {
  metadata?: PodSandboxMetadata | undefined
  hostname?: string | undefined
  logDirectory?: string | undefined
  dnsConfig?: DNSConfig | undefined
  portMappings?: PortMapping[] | undefined
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
  linux?: LinuxPodSandboxConfig | undefined
}

export interface RunPodSandboxRequest {
  config?: PodSandboxConfig | undefined
  runtimeHandler?: string | undefined
}

export interface RunPodSandboxResponse {
  podSandboxId?: string | undefined
}

export interface StopPodSandboxRequest {
  podSandboxId?: string | undefined
}

export interface StopPodSandboxResponse {
}

export interface RemovePodSandboxRequest {
  podSandboxId?: string | undefined
}

export interface RemovePodSandboxResponse {
}

export interface PodSandboxStatusRequest {
  podSandboxId?: string | undefined
  verbose?: boolean | undefined
}

export interface PodIP {
  ip?: string | undefined
}

export interface PodSandboxNetworkStatus {
  ip?: string | undefined
  additionalIps?: PodIP[] | undefined
}

export interface PodSandboxStatus {
  id?: string | undefined
  metadata?: PodSandboxMetadata | undefined
  state?: PodSandboxState | undefined
  createdAt?: number | undefined
  network?: PodSandboxNetworkStatus | undefined
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
}

export interface PodSandboxStatusResponse {
  status?: PodSandboxStatus | undefined
}

export interface PodSandboxFilter {
  id?: string | undefined
  labelSelector?: Record<string, string> | undefined
}

export interface ListPodSandboxRequest {
  filter?: PodSandboxFilter | undefined
}

export interface PodSandbox {
  id?: string | undefined
  metadata?: PodSandboxMetadata | undefined
  state?: PodSandboxState | undefined
  createdAt?: number | undefined
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
}

export interface ListPodSandboxResponse {
  items?: PodSandbox[] | undefined
}

export type MountPropagation = 'PROPAGATION_PRIVATE' | 'PROPAGATION_HOST_TO_CONTAINER' | 'PROPAGATION_BIDIRECTIONAL'

export type ContainerState = 'CONTAINER_CREATED' | 'CONTAINER_RUNNING' | 'CONTAINER_EXITED' | 'CONTAINER_UNKNOWN'

export interface Mount {
  containerPath?: string | undefined
  hostPath?: string | undefined
  readonly?: boolean | undefined
  propagation?: MountPropagation | undefined
}

export interface KeyValue {
  key?: string | undefined
  value?: string | undefined
}

export interface LinuxContainerResources {
  cpuPeriod?: number | undefined
  cpuQuota?: number | undefined
  cpuShares?: number | undefined
  memoryLimitInBytes?: number | undefined
  oomScoreAdj?: number | undefined
}

export interface Capability {
  addCapabilities?: string[] | undefined
  dropCapabilities?: string[] | undefined
}

export interface LinuxContainerSecurityContext {
  capabilities?: Capability | undefined
  privileged?: boolean | undefined
  namespaceOptions?: NamespaceOption | undefined
  runAsUser?: Int64Value | undefined
  runAsUsername?: string | undefined
  readonlyRootfs?: boolean | undefined
  supplementalGroups?: number[] | undefined
  noNewPrivs?: boolean | undefined
  runAsGroup?: Int64Value | undefined
  maskedPaths?: string[] | undefined
  readonlyPaths?: string[] | undefined
  seccomp?: SecurityProfile | undefined
}

export interface LinuxContainerConfig {
  resources?: LinuxContainerResources | undefined
  securityContext?: LinuxContainerSecurityContext | undefined
}

export interface ContainerMetadata {
  name?: string | undefined
  attempt?: number | undefined
}

export interface ImageSpec {
  image?: string | undefined
}

export interface ContainerConfig {
  metadata?: ContainerMetadata | undefined
  image?: ImageSpec | undefined
  command?: string[] | undefined
  args?: string[] | undefined
  workingDir?: string | undefined
  envs?: KeyValue[] | undefined
  mounts?: Mount[] | undefined
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
  logPath?: string | undefined
  stdin?: boolean | undefined
  stdinOnce?: boolean | undefined
  tty?: boolean | undefined
  linux?: LinuxContainerConfig | undefined
}

export interface CreateContainerRequest {
  podSandboxId?: string | undefined
  config?: ContainerConfig | undefined
  sandboxConfig?: PodSandboxConfig | undefined
}

export interface CreateContainerResponse {
  containerId?: string | undefined
}

export interface StartContainerRequest {
  containerId?: string | undefined
}

export interface StartContainerResponse {
}

export interface StopContainerRequest {
  containerId?: string | undefined
  timeout?: number | undefined
}

export interface StopContainerResponse {
}

export interface RemoveContainerRequest {
  containerId?: string | undefined
}

export interface RemoveContainerResponse {
}

export interface ContainerFilter {
  id?: string | undefined
  podSandboxId?: string | undefined
  labelSelector?: Record<string, string> | undefined
}

export interface ListContainersRequest {
  filter?: ContainerFilter | undefined
}

export interface Container {
  id?: string | undefined
  podSandboxId?: string | undefined
  metadata?: ContainerMetadata | undefined
  image?: ImageSpec | undefined
  imageRef?: string | undefined
  state?: ContainerState | undefined
  createdAt?: number | undefined
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
}

export interface ListContainersResponse {
  containers?: Container[] | undefined
}

export interface ContainerStatusRequest {
  containerId?: string | undefined
  verbose?: boolean | undefined
}

export interface ContainerStatus {
  id?: string | undefined
  metadata?: ContainerMetadata | undefined
  state?: ContainerState | undefined
  createdAt?: number | undefined
  startedAt?: number | undefined
  finishedAt?: number | undefined
  exitCode?: number | undefined
  image?: ImageSpec | undefined
  imageRef?: string | undefined
  reason?: string | undefined
  message?: string | undefined
  labels?: Record<string, string> | undefined
  annotations?: Record<string, string> | undefined
}

export interface ContainerStatusResponse {
  status?: ContainerStatus | undefined
}

export interface UpdateContainerResourcesRequest {
  containerId?: string | undefined
  linux?: LinuxContainerResources | undefined
}

export interface UpdateContainerResourcesResponse {
}

export interface ReopenContainerLogRequest {
  containerId?: string | undefined
}

export interface ReopenContainerLogResponse {
}

export interface ExecSyncRequest {
  containerId?: string | undefined
  cmd?: string[] | undefined
  timeout?: number | undefined
}

export interface ExecSyncResponse {
  stdout?: Uint8Array | undefined
  stderr?: Uint8Array | undefined
  exitCode?: number | undefined
}

export interface ExecRequest {
  containerId?: string | undefined
  cmd?: string[] | undefined
  tty?: boolean | undefined
  stdin?: boolean | undefined
  stdout?: boolean | undefined
  stderr?: boolean | undefined
}

export interface ExecResponse {
  url?: string | undefined
}

export interface AttachRequest {
  containerId?: string | undefined
  stdin?: boolean | undefined
  tty?: boolean | undefined
  stdout?: boolean | undefined
  stderr?: boolean | undefined
}

export interface AttachResponse {
  url?: string | undefined
}

export interface PortForwardRequest {
  podSandboxId?: string | undefined
  port?: number[] | undefined
}

export interface PortForwardResponse {
  url?: string | undefined
}

export interface ContainerStatsFilter {
  labelSelector?: Record<string, string> | undefined
}

export interface ListContainerStatsRequest {
  filter?: ContainerStatsFilter | undefined
}

export interface ListContainerStatsResponse {
  stats?: ContainerStats[] | undefined
}

export interface ContainerAttributes {
  id?: string | undefined
}

export interface ContainerStats {
  attributes?: ContainerAttributes | undefined
  cpu?: CpuUsage | undefined
  memory?: MemoryUsage | undefined
}

export interface CpuUsage {
  timestamp?: number | undefined
  usageCoreNanoSeconds?: UInt64Value | undefined
}

export interface MemoryUsage {
  timestamp?: number | undefined
  workingSetBytes?: UInt64Value | undefined
}

export interface ImageFilter {
  image?: ImageSpec | undefined
}

export interface ListImagesRequest {
  filter?: ImageFilter | undefined
}

export interface Image {
  id?: string | undefined
  repoTags?: string[] | undefined
  repoDigests?: string[] | undefined
  size?: number | undefined
  uid?: Int64Value | undefined
  username?: string | undefined
}

export interface ListImagesResponse {
  images?: Image[] | undefined
}

export interface ImageStatusRequest {
  image?: ImageSpec | undefined
  verbose?: boolean | undefined
}

export interface ImageStatusResponse {
  image?: Image | undefined
}

export interface AuthConfig {
  username?: string | undefined
  password?: string | undefined
  auth?: string | undefined
  serverAddress?: string | undefined
  identityToken?: string | undefined
  registryToken?: string | undefined
}

export interface PullImageRequest {
  image?: ImageSpec | undefined
  auth?: AuthConfig | undefined
  sandboxConfig?: PodSandboxConfig | undefined
}

export interface PullImageResponse {
  imageRef?: string | undefined
}

export interface RemoveImageRequest {
  image?: ImageSpec | undefined
}

export interface RemoveImageResponse {
}

/** Every method, by name. */
export interface CriMethods {
  Subscribe: { service: 'containerd.services.events.v1.Events'; request: SubscribeRequest; response: Envelope; streams: true }
  Version: { service: 'runtime.v1.RuntimeService'; request: VersionRequest; response: VersionResponse; streams: false }
  Status: { service: 'runtime.v1.RuntimeService'; request: StatusRequest; response: StatusResponse; streams: false }
  RunPodSandbox: { service: 'runtime.v1.RuntimeService'; request: RunPodSandboxRequest; response: RunPodSandboxResponse; streams: false }
  StopPodSandbox: { service: 'runtime.v1.RuntimeService'; request: StopPodSandboxRequest; response: StopPodSandboxResponse; streams: false }
  RemovePodSandbox: { service: 'runtime.v1.RuntimeService'; request: RemovePodSandboxRequest; response: RemovePodSandboxResponse; streams: false }
  PodSandboxStatus: { service: 'runtime.v1.RuntimeService'; request: PodSandboxStatusRequest; response: PodSandboxStatusResponse; streams: false }
  ListPodSandbox: { service: 'runtime.v1.RuntimeService'; request: ListPodSandboxRequest; response: ListPodSandboxResponse; streams: false }
  CreateContainer: { service: 'runtime.v1.RuntimeService'; request: CreateContainerRequest; response: CreateContainerResponse; streams: false }
  StartContainer: { service: 'runtime.v1.RuntimeService'; request: StartContainerRequest; response: StartContainerResponse; streams: false }
  StopContainer: { service: 'runtime.v1.RuntimeService'; request: StopContainerRequest; response: StopContainerResponse; streams: false }
  RemoveContainer: { service: 'runtime.v1.RuntimeService'; request: RemoveContainerRequest; response: RemoveContainerResponse; streams: false }
  ListContainers: { service: 'runtime.v1.RuntimeService'; request: ListContainersRequest; response: ListContainersResponse; streams: false }
  ContainerStatus: { service: 'runtime.v1.RuntimeService'; request: ContainerStatusRequest; response: ContainerStatusResponse; streams: false }
  UpdateContainerResources: { service: 'runtime.v1.RuntimeService'; request: UpdateContainerResourcesRequest; response: UpdateContainerResourcesResponse; streams: false }
  ReopenContainerLog: { service: 'runtime.v1.RuntimeService'; request: ReopenContainerLogRequest; response: ReopenContainerLogResponse; streams: false }
  ExecSync: { service: 'runtime.v1.RuntimeService'; request: ExecSyncRequest; response: ExecSyncResponse; streams: false }
  Exec: { service: 'runtime.v1.RuntimeService'; request: ExecRequest; response: ExecResponse; streams: false }
  Attach: { service: 'runtime.v1.RuntimeService'; request: AttachRequest; response: AttachResponse; streams: false }
  PortForward: { service: 'runtime.v1.RuntimeService'; request: PortForwardRequest; response: PortForwardResponse; streams: false }
  ListContainerStats: { service: 'runtime.v1.RuntimeService'; request: ListContainerStatsRequest; response: ListContainerStatsResponse; streams: false }
  ListImages: { service: 'runtime.v1.ImageService'; request: ListImagesRequest; response: ListImagesResponse; streams: false }
  ImageStatus: { service: 'runtime.v1.ImageService'; request: ImageStatusRequest; response: ImageStatusResponse; streams: false }
  PullImage: { service: 'runtime.v1.ImageService'; request: PullImageRequest; response: PullImageResponse; streams: false }
  RemoveImage: { service: 'runtime.v1.ImageService'; request: RemoveImageRequest; response: RemoveImageResponse; streams: false }
}
