export { type ClientOptions, type ClusterClient, createClient } from './api-client.ts'
export {
  ApiError,
  ConnectionError,
  type ConnectionPhase,
  isAlreadyExists,
  isConflict,
  isGone,
  isNotFound,
  pauseAfter,
} from './api-error.ts'
export type {
  CallOptions,
  Client,
  DeleteCallOptions,
  ListOptions,
  Patch,
  RawAnswer,
  RawRequest,
  Reader,
  SubresourceOption,
  WatchOptions,
  WriteOptions,
  Writer,
} from './client.ts'
export type {
  ClientCertificate,
  ConnectionConfig,
  Credentials,
  ExecPlugin,
  Impersonation,
} from './connection-config.ts'
export { type InClusterOptions, inClusterConfig, isInCluster } from './in-cluster-config.ts'
export { type KubeconfigOptions, kubeconfigPaths, loadKubeconfig } from './kubeconfig.ts'
export { type ListPage, listAll, listPages } from './list-pages.ts'
export type { ExecOptions, ExecResult } from './pod-exec.ts'
export type { LogOptions } from './pod-log.ts'
export { environmentProxy, type ProxySetting } from './proxy-setting.ts'
