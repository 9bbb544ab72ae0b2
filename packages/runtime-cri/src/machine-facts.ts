import { readFile } from 'node:fs/promises'
import { release } from 'node:os'
import type { MachineFacts } from '@outrigger/kubelet/runtime'

/**
 * What this machine says of itself, read where a kubelet reads it. Where the firmware tells no UUID, or only root may
 * read it, the machine's id stands for it. `read` hands out a file's text, or nothing.
 */
export async function readMachine(
  read: (path: string) => Promise<string | undefined> = readText,
  kernelVersion: string = release(),
): Promise<MachineFacts> {
  const machineId = (await read('/etc/machine-id')) ?? (await read('/var/lib/dbus/machine-id')) ?? ''
  const uuid =
    (await read('/sys/class/dmi/id/product_uuid')) ?? (await read('/proc/device-tree/vm,uuid')) ?? machineId
  return {
    machineId,
    systemUuid: uuid.replaceAll('\0', ''),
    bootId: (await read('/proc/sys/kernel/random/boot_id')) ?? '',
    kernelVersion,
    osImage: prettyName((await read('/etc/os-release')) ?? (await read('/usr/lib/os-release')) ?? ''),
  }
}

/** `Debian GNU/Linux 12 (bookworm)` out of an os-release file. */
function prettyName(text: string): string {
  const value = /^PRETTY_NAME=(.*)$/m.exec(text)?.[1]?.trim() ?? ''
  const quoted = /^(["'])(.*)\1$/.exec(value)
  return quoted?.[2]?.replace(/\\(["$`\\])/g, '$1') ?? value
}

/** An empty file tells as little as a missing one. */
async function readText(path: string): Promise<string | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.trim() === '' ? undefined : text.trim()
}
