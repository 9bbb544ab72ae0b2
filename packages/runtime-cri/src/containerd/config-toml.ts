import type { ContainerdPlaces } from './places.ts'

export interface ConfigFacts {
  readonly places: ContainerdPlaces
  readonly cniBinaries: string
  readonly sandboxImage: string
  /** Whether this process may lower a process's out-of-memory score (CAP_SYS_RESOURCE). */
  readonly mayLowerOomScore: boolean
  readonly usesSystemdCgroups: boolean
  /** Folder with a `hosts.toml` per registry. */
  readonly registryConfig: string | undefined
}

/** Plugins that are never used here and cost time to start, or folders outside of ours. */
const unused = [
  'io.containerd.internal.v1.opt',
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.internal.v1.tracing',
]

/** The configuration of a containerd of our own (configuration version 2: containerd 1.6 and later). */
export function configToml(facts: ConfigFacts): string {
  const { places } = facts
  return `# Written by Outrigger at every start; changes are lost.
version = 2
root = ${text(places.root)}
state = ${text(places.state)}
disabled_plugins = [${unused.map(text).join(', ')}]

# At level info every probe of every container is a line.
[debug]
  level = "warn"

[grpc]
  address = ${text(places.socket)}

[ttrpc]
  address = ${text(`${places.socket}.ttrpc`)}

[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = ${!facts.mayLowerOomScore}
  sandbox_image = ${text(facts.sandboxImage)}
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = ${text(facts.cniBinaries)}
    conf_dir = ${text(places.cniConfig)}

${registry(facts.registryConfig)}  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = ${facts.usesSystemdCgroups}
`
}

function registry(folder: string | undefined): string {
  if (folder === undefined) return ''
  return `  [plugins."io.containerd.grpc.v1.cri".registry]\n    config_path = ${text(folder)}\n\n`
}

/** A TOML basic string; JSON's escapes are all valid there. */
function text(value: string): string {
  return JSON.stringify(value)
}
