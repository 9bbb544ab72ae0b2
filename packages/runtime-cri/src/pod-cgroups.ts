import { readdir, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { cgroupTree, nodeCgroup } from './cgroup-parent.ts'

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

  async #nodeRoots(): Promise<readonly string[]> {
    this.#roots ??= await treeRoots(this.#options.mount, nodeCgroup(this.#options.nodeName))
    return this.#roots
  }
}

/** Removes every cgroup folder of ours that holds no process, of whichever node. */
export async function removeEmptyCgroups(mount?: string): Promise<void> {
  for (const root of await treeRoots(mount, cgroupTree)) await removeTree(root)
}

/** `<mount>/<tree>` with one tree, `<mount>/<controller>/<tree>` with cgroup v1. */
async function treeRoots(mount = '/sys/fs/cgroup', tree: string): Promise<readonly string[]> {
  const isUnified = (await readdir(mount).catch((): string[] => [])).includes('cgroup.controllers')
  if (isUnified) return [join(mount, tree)]
  return (await folders(mount)).map((controller) => join(mount, controller, tree))
}

async function folders(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
}

async function removeTree(path: string): Promise<void> {
  for (const name of await folders(path)) await removeTree(join(path, name))
  await rmdir(path).catch(() => {})
}
