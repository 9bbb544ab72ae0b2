// What runs the containers of a node, and what such a runtime may build on
export { DiskPodFiles, type DiskPodFilesOptions } from './disk-pod-files.ts'
export {
  type ContainerResources,
  type ContainerSecurity,
  type ContainerSpec,
  type ContainerState,
  type ContainerUsage,
  type ExecOutcome,
  type ExecSession,
  type ImageState,
  type Mount,
  type PodFiles,
  type PodIdentity,
  type PodRuntime,
  type RegistryCredentials,
  RuntimeError,
  type RuntimeErrorCode,
  type RuntimeHealth,
  type SandboxSpec,
  type SandboxState,
  type StreamRequest,
  type VolumeFile,
} from './runtime.ts'
