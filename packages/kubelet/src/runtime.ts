/**
 * The door `@outrigger/kubelet/runtime`: what a virtual node needs from whatever runs its containers.
 *
 * The shape follows Kubernetes' Container Runtime Interface (sandboxes, containers, images), because the
 * kubelet decides about order, restarts and probes itself. A runtime serves one node and shows only that
 * node's sandboxes. Every call may be repeated; every call obeys its signal.
 */
export interface PodRuntime {
  /** `containerd://1.6.20`, as node.status.nodeInfo.containerRuntimeVersion shows it. */
  version(signal: AbortSignal): Promise<string>
  /** The machine that containers run on. Absent: there is none to speak of. */
  machine?(signal: AbortSignal): Promise<MachineFacts>
  /** Whether pods can be run now; if not, a sentence that says why. */
  health(signal: AbortSignal): Promise<RuntimeHealth>
  /**
   * Everything there is, including what has ended but was not removed. With `podUid` only sandboxes of
   * that pod matter to the caller; a runtime may answer with more.
   */
  list(signal: AbortSignal, podUid?: string): Promise<readonly SandboxState[]>
  /**
   * Yields the uid of a pod whenever something about it may have changed (container started, ended,
   * removed). May report too often and may miss things: the kubelet lists again every so often anyway.
   * Ends when the signal aborts.
   */
  changes(signal: AbortSignal): AsyncIterable<string>

  createSandbox(spec: SandboxSpec, signal: AbortSignal): Promise<SandboxState>
  /** Stops all containers of the sandbox and frees its network. Fine for one that is stopped or gone. */
  stopSandbox(id: string, signal: AbortSignal): Promise<void>
  /** Removes the sandbox and its containers. Fine for one that is gone. */
  removeSandbox(id: string, signal: AbortSignal): Promise<void>

  /** Makes a container without starting it; answers with its id. @throws RuntimeError */
  createContainer(sandboxId: string, spec: ContainerSpec, signal: AbortSignal): Promise<string>
  startContainer(id: string, signal: AbortSignal): Promise<void>
  /** Asks with the stop signal, then kills after `graceSeconds`. Resolves when it has ended. */
  stopContainer(id: string, graceSeconds: number, signal: AbortSignal): Promise<void>
  removeContainer(id: string, signal: AbortSignal): Promise<void>
  /** Applies new limits to a running container. Absent: not supported. */
  updateResources?(id: string, resources: ContainerResources, signal: AbortSignal): Promise<void>
  /** Makes the container write to a fresh file at its log path, after the old one was renamed. */
  reopenLog?(id: string, signal: AbortSignal): Promise<void>

  /** What is known of an image, or undefined when it is not there. */
  imageStatus(image: string, signal: AbortSignal): Promise<ImageState | undefined>
  /** @throws RuntimeError with code `image-pull-failed` or `image-name-invalid` */
  pullImage(
    image: string,
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<ImageState>
  listImages(signal: AbortSignal): Promise<readonly ImageState[]>
  removeImage(image: string, signal: AbortSignal): Promise<void>

  /** Runs a command and collects what it prints (at most 16 KiB of each stream is kept). */
  execSync(
    id: string,
    command: readonly string[],
    timeoutSeconds: number,
    signal: AbortSignal,
  ): Promise<ExecOutcome>
  /** Runs a command with live streams. */
  exec(
    id: string,
    request: StreamRequest & { readonly command: readonly string[] },
    signal: AbortSignal,
  ): Promise<ExecSession>
  /** Joins the streams of the running process. */
  attach(id: string, request: StreamRequest, signal: AbortSignal): Promise<ExecSession>
  /** Opens one connection to a port inside the sandbox. @throws RuntimeError when nothing listens. */
  portForward(sandboxId: string, port: number, signal: AbortSignal): Promise<import('node:stream').Duplex>

  /**
   * Opens a connection as a probe or a lifecycle hook would see it, to a port at an address of the pod.
   * Absent: the pod's address is reached over the machine's network.
   */
  dial?(
    sandboxId: string,
    host: string,
    port: number,
    signal: AbortSignal,
  ): Promise<import('node:stream').Duplex>

  /** What containers use now, by container id. Absent: not measured. */
  stats?(signal: AbortSignal): Promise<ReadonlyMap<string, ContainerUsage>>
  /** Files of pods: volumes and logs. */
  readonly files: PodFiles
}

/** What a node says of its machine; what cannot be known is empty. */
export interface MachineFacts {
  readonly machineId: string
  readonly systemUuid: string
  /** Another after each boot. */
  readonly bootId: string
  readonly kernelVersion: string
  /** Name of the operating system, for people. */
  readonly osImage: string
}

export interface RuntimeHealth {
  readonly isReady: boolean
  readonly message: string
}

export interface PodIdentity {
  readonly name: string
  readonly namespace: string
  readonly uid: string
}

export interface SandboxSpec {
  readonly pod: PodIdentity
  /** Counts the sandboxes of a pod from 0. */
  readonly attempt: number
  readonly hostname: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  /** Folder for the logs of all containers of the pod, absolute. */
  readonly logDirectory: string
  readonly dns?: {
    readonly servers: readonly string[]
    readonly searches: readonly string[]
    readonly options: readonly string[]
  }
  readonly portMappings: readonly {
    readonly protocol: 'TCP' | 'UDP' | 'SCTP'
    readonly containerPort: number
    readonly hostPort: number
    readonly hostIp: string
  }[]
  readonly usesHostNetwork: boolean
  readonly usesHostPid: boolean
  readonly usesHostIpc: boolean
  readonly sharesProcessNamespace: boolean
  readonly isPrivileged: boolean
  readonly sysctls: Readonly<Record<string, string>>
  /** `Guaranteed`, `Burstable` or `BestEffort`: decides where in the cgroup tree the pod lives. */
  readonly qosClass: string
  readonly runAsUser?: number
  readonly runAsGroup?: number
  readonly supplementalGroups: readonly number[]
}

export interface SandboxState {
  readonly id: string
  readonly pod: PodIdentity
  readonly attempt: number
  readonly isReady: boolean
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** Addresses of the pod; empty with host network and while there is none. */
  readonly ips: readonly string[]
  readonly containers: readonly ContainerState[]
  readonly annotations: Readonly<Record<string, string>>
}

export interface ContainerSpec {
  readonly name: string
  /** Counts the runs of this container from 0; part of its log file's name. */
  readonly attempt: number
  /** The image as the pod names it. */
  readonly image: string
  /** The image as `pullImage` or `imageStatus` identified it. */
  readonly imageId: string
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly workingDirectory?: string
  readonly environment: readonly { readonly name: string; readonly value: string }[]
  readonly mounts: readonly Mount[]
  readonly labels: Readonly<Record<string, string>>
  /** Kept with the container and returned by `list`; the kubelet stores its own facts here. */
  readonly annotations: Readonly<Record<string, string>>
  /** Relative to the sandbox's log directory: `app/0.log`. */
  readonly logPath: string
  readonly stdin: boolean
  readonly stdinOnce: boolean
  readonly tty: boolean
  readonly resources: ContainerResources
  readonly security: ContainerSecurity
  /** The container of this sandbox whose processes it shares. Absent: those that the sandbox says. */
  readonly sharesProcessesOf?: string
}

export interface Mount {
  /** A path that `PodFiles` gave, or a host path. */
  readonly source: string
  readonly target: string
  readonly isReadOnly: boolean
  readonly propagation: 'None' | 'HostToContainer' | 'Bidirectional'
}

export interface ContainerResources {
  /** Thousandths of a CPU; 0 is none given. */
  readonly cpuRequestMillis: number
  readonly cpuLimitMillis: number
  /** Bytes; 0 is no limit. */
  readonly memoryLimit: number
  readonly oomScoreAdjust: number
}

export interface ContainerSecurity {
  readonly isPrivileged: boolean
  readonly runAsUser?: number
  readonly runAsGroup?: number
  readonly runAsUserName?: string
  readonly supplementalGroups: readonly number[]
  readonly isReadOnlyRoot: boolean
  readonly addCapabilities: readonly string[]
  readonly dropCapabilities: readonly string[]
  readonly forbidsNewPrivileges: boolean
  readonly maskedPaths: readonly string[]
  readonly readonlyPaths: readonly string[]
  readonly seccomp: 'RuntimeDefault' | 'Unconfined' | { readonly localhostProfile: string }
}

export interface ContainerState {
  readonly id: string
  readonly name: string
  readonly attempt: number
  readonly state: 'created' | 'running' | 'exited' | 'unknown'
  readonly image: string
  /** With digest where there is one: `docker.io/library/busybox@sha256:...`. */
  readonly imageRef: string
  /** Milliseconds since 1970; 0 while it has not happened. */
  readonly createdAt: number
  readonly startedAt: number
  readonly finishedAt: number
  readonly exitCode: number
  /** `OOMKilled`, `Error`, `Completed`, `StartError` as the runtime names it; empty if it does not. */
  readonly reason: string
  readonly message: string
  readonly annotations: Readonly<Record<string, string>>
}

export interface ImageState {
  /** Content id: `sha256:...`. */
  readonly id: string
  readonly tags: readonly string[]
  readonly digests: readonly string[]
  readonly size: number
  /** The user the image wants to run as: a number, or a name that must be looked up inside. */
  readonly uid: number | undefined
  readonly username: string
}

export interface RegistryCredentials {
  readonly username?: string
  readonly password?: string
  readonly auth?: string
  readonly serverAddress?: string
  readonly identityToken?: string
  readonly registryToken?: string
}

export interface ExecOutcome {
  readonly exitCode: number
  readonly stdout: Buffer
  readonly stderr: Buffer
}

export interface StreamRequest {
  readonly tty: boolean
  readonly stdin: boolean
  readonly stdout: boolean
  readonly stderr: boolean
}

/** A running command or attachment. Unrequested streams are undefined. */
export interface ExecSession {
  readonly stdin: import('node:stream').Writable | undefined
  readonly stdout: import('node:stream').Readable | undefined
  readonly stderr: import('node:stream').Readable | undefined
  resize(width: number, height: number): void
  /** Exit code of the command, or 0 when an attachment ends. Rejects with RuntimeError when it could not run. */
  readonly exited: Promise<number>
  /** Gives up: closes the streams; the command may go on. */
  close(): void
}

export interface ContainerUsage {
  readonly cpuNanoseconds: number
  readonly memoryWorkingSet: number
}

/**
 * Where volumes and logs live: a disk for real runtimes, memory for the simulated one. Paths are
 * absolute and mean something to the runtime's own mounts.
 */
export interface PodFiles {
  /** Folder of a pod, which disappears with `removePod`. */
  podDirectory(uid: string): string
  /** Folder of a pod's logs: `<logs>/<namespace>_<name>_<uid>`. */
  logDirectory(pod: PodIdentity): string
  makeDirectory(path: string, mode: number): Promise<void>
  /** Gives a folder to a group, which may write there and owns what is made in it. Absent: there are no groups. */
  giveToGroup?(path: string, gid: number): Promise<void>
  /**
   * Makes the folder hold exactly these files, seen by readers all at once (`..data` symlink swap as
   * kubelet's atomic writer does). Returns false when nothing differed.
   */
  writeAtomically(directory: string, files: ReadonlyMap<string, VolumeFile>): Promise<boolean>
  /** Writes one plain file (etc-hosts, termination log). */
  writeFile(path: string, content: Uint8Array, mode: number): Promise<void>
  /** The last `maxBytes` bytes of a file, or undefined when there is none. */
  readTail(path: string, maxBytes: number): Promise<Buffer | undefined>
  /** Bytes from `offset` on, at most 64 KiB; empty at the end; undefined when there is no such file. */
  read(path: string, offset: number): Promise<Buffer | undefined>
  /** Bytes of a file, or undefined when there is none. */
  size(path: string): Promise<number | undefined>
  /** What is at the path, or undefined when there is nothing. Links are followed. */
  kind(path: string): Promise<'file' | 'directory' | 'other' | undefined>
  /**
   * The true path of `subPath` below `directory`, for a mount. Follows links, creates missing folders
   * with mode 0750. @throws Error when the path leads out of the directory.
   */
  resolveBelow(directory: string, subPath: string): Promise<string>
  /** Names in a folder, sorted; empty when there is none. */
  list(directory: string): Promise<readonly string[]>
  rename(from: string, to: string): Promise<void>
  remove(path: string): Promise<void>
  /** Calls back when the file may have grown or been replaced. Returns a function that stops it. */
  watch(path: string, onChange: () => void): () => void
  /** Mounts memory at the folder (emptyDir medium Memory). Absent: plain folder is used. */
  mountMemory?(path: string, sizeBytes: number | undefined): Promise<void>
  unmount?(path: string): Promise<void>
  /** Removes the pod's folder with everything mounted in it. */
  removePod(uid: string): Promise<void>
  /** Uids of pods that have a folder. */
  pods(): Promise<readonly string[]>
}

export interface VolumeFile {
  readonly content: Uint8Array
  readonly mode: number
  readonly uid?: number
  readonly gid?: number
}

export type RuntimeErrorCode =
  | 'unavailable'
  | 'not-found'
  | 'image-pull-failed'
  | 'image-name-invalid'
  | 'image-not-present'
  | 'create-failed'
  | 'start-failed'
  | 'timeout'
  | 'unsupported'
  | 'unknown'

/** The runtime said no. The message is fit for a pod's status and carries no secret. */
export class RuntimeError extends Error {
  override readonly name = 'RuntimeError'
  readonly code: RuntimeErrorCode

  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
