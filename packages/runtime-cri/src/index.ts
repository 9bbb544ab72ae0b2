// Pods in a container runtime

export { type CgroupDriver, podCgroupParent } from './cgroup-parent.ts'
// A containerd of our own
export {
  type ContainerdBinaries,
  type FindBinariesOptions,
  findBinaries,
  systemPath,
} from './containerd/binaries.ts'
export {
  type Containerd,
  type ContainerdOptions,
  type StopMode,
  startContainerd,
} from './containerd/containerd.ts'
export { type CriRuntime, type CriRuntimeOptions, createCriRuntime } from './cri-runtime.ts'
// Images without a registry
export { type Busybox, busyboxImage, readBusybox } from './image/busybox-image.ts'
export { type EnsureImageOptions, ensureImage, type ImageOrigin } from './image/ensure-image.ts'
export { httpEchoImage } from './image/http-echo-image.ts'
export { type ImportOptions, importImage } from './image/import-image.ts'
export { type Blob, buildImage, type ImageRecipe, imageArchive, type OciImage } from './image/oci-image.ts'
export { pauseImage } from './image/pause-image.ts'
export { packTar, type TarEntry } from './image/tar.ts'
export { PodCgroups, type PodCgroupsOptions } from './pod-cgroups.ts'
