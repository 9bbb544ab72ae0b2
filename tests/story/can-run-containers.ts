import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'

const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']

/** Why this machine cannot run containers, or undefined when it can. */
export function canRunContainers(): string | undefined {
  if (process.platform !== 'linux') return `this is ${process.platform}, not Linux`
  if (userInfo().uid !== 0) return 'only root may'
  const missing = ['containerd', 'runc', 'iptables'].filter(
    (name) => !folders.some((folder) => existsSync(`${folder}/${name}`)),
  )
  return missing.length === 0
    ? undefined
    : `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} not installed`
}
