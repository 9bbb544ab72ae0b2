import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { nodeCgroup } from './cgroup-parent.ts'

export interface PodCgroupsOptions {
  readonly nodeName: string
  /** Where cgroups are mounted. Defaults to `/sys/fs/cgroup`. */
  readonly mount?: string
}

/**
 * The cgroup folders of a node's pods. Runtimes leave a pod's folder behind when its sandbox goes (one in
 * every controller with cgroup v1), and the kernel keeps memory for each.
 *
 * Guarantees: only folders without processes disappear, because the kernel refuses the others.
 */
export class PodCgroups {
  readonly #options: PodCgroupsOptions
  #roots: readonly string[] | undefined

  constructor(options: PodCgroupsOptions) {
    this.#options = options
  }

  /** Removes the folders of one pod. Fine when there are none. */
  async removePod(podUid: string): Promise<void> {
    for (const root of await this.#nodeRoots()) {
      for (const qos of ['', 'burstable', 'besteffort']) await removeTree(join(root, qos, `pod${podUid}`))
    }
  }

  /** Removes the folders of all pods but these. */
  async removeOthers(podUids: ReadonlySet<string>): Promise<void> {
    for (const root of await this.#nodeRoots()) {
      for (const qos of ['', 'burstable', 'besteffort']) {
        for (const name of await folders(join(root, qos))) {
          if (!name.startsWith('pod') || podUids.has(name.slice(3))) continue
          await removeTree(join(root, qos, name))
        }
      }
    }
  }

  /** Removes everything of the node, and the folder it shares with other nodes if it was the last. */
  async removeAll(): Promise<void> {
    for (const root of await this.#nodeRoots()) {
      await removeTree(root)
      await rmdir(join(root, '..')).catch(() => {})
    }
  }

  /** `<mount>/<tree>` with one tree, `<mount>/<controller>/<tree>` with cgroup v1. */
  async #nodeRoots(): Promise<readonly string[]> {
    if (this.#roots !== undefined) return this.#roots
    const mount = this.#options.mount ?? '/sys/fs/cgroup'
    const tree = nodeCgroup(this.#options.nodeName)
    const isUnified = (await readdir(mount).catch((): string[] => [])).includes('cgroup.controllers')
    this.#roots = isUnified
      ? [join(mount, tree)]
      : (await folders(mount)).map((controller) => join(mount, controller, tree))
    return this.#roots
  }
}

async function folders(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
}

async function removeTree(path: string): Promise<void> {
  for (const name of await folders(path)) await removeTree(join(path, name))
  await rmdir(path).catch(() => {})
}
