import { createHash } from 'node:crypto'
import { join } from 'node:path'

/** Every path and name a containerd of our own uses. Two data folders never share one. */
export interface ContainerdPlaces {
  /** Images, snapshots and metadata; as long as the data folder. */
  readonly root: string
  readonly config: string
  readonly log: string
  readonly cniConfig: string
  readonly cniData: string
  /** Sockets, mounts and pid file; gone after a reboot. */
  readonly run: string
  readonly state: string
  readonly socket: string
  readonly pidFile: string
  readonly bridge: string
  /** Picks the first subnet to try. */
  readonly seed: number
}

/**
 * The places of the containerd that belongs to a data folder (absolute). What is short-lived lies under
 * `runRoot` in a folder named after a hash of the data folder: the path of a socket may have 107 bytes at
 * most, and a data folder may be as long as it likes.
 */
export function containerdPlaces(directory: string, runRoot = '/run/outrigger'): ContainerdPlaces {
  const hash = createHash('sha256').update(directory).digest('hex')
  const run = join(runRoot, hash.slice(0, 10))
  const own = join(directory, 'containerd')
  return {
    root: join(own, 'root'),
    config: join(own, 'config.toml'),
    log: join(own, 'containerd.log'),
    cniConfig: join(own, 'cni', 'net.d'),
    cniData: join(own, 'cni', 'addresses'),
    run,
    state: join(run, 'state'),
    socket: join(run, 'containerd.sock'),
    pidFile: join(run, 'containerd.pid'),
    // A network interface's name has 15 bytes at most.
    bridge: `outr${hash.slice(0, 8)}`,
    seed: Number.parseInt(hash.slice(0, 6), 16),
  }
}
