import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findBinaries } from './binaries.ts'

const programs = ['containerd', 'ctr', 'containerd-shim-runc-v2', 'runc', 'iptables']
const plugins = ['bridge', 'host-local', 'loopback']
let folder = ''

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'outrigger-binaries-'))
  for (const name of ['bin', 'cni']) mkdirSync(join(folder, name))
})

afterEach(() => rmSync(folder, { recursive: true, force: true }))

describe('the programs of a containerd', () => {
  it('are found where the path says, the first folder first', async () => {
    install('bin', programs)
    install('cni', plugins)

    expect(await find()).toEqual({
      containerd: join(folder, 'bin', 'containerd'),
      ctr: join(folder, 'bin', 'ctr'),
      runc: join(folder, 'bin', 'runc'),
      cni: join(folder, 'cni'),
      hasPortmap: false,
    })
  })

  it('are named when missing, with where they were looked for and how to install them', async () => {
    install(
      'bin',
      programs.filter((name) => name !== 'runc'),
    )
    install('cni', plugins)

    await expect(find()).rejects.toThrow(
      `cannot run containers: runc is not in ${join(folder, 'bin')}; install what is missing (Debian, Ubuntu: apt-get install -y containerd runc `,
    )
  })

  it('are all named at once, plugins too', async () => {
    install(
      'bin',
      programs.filter((name) => !['runc', 'iptables'].includes(name)),
    )
    install('cni', ['bridge'])

    await expect(find()).rejects.toThrow(
      `runc and iptables are not in ${join(folder, 'bin')}, and the CNI plugins bridge, host-local and loopback are not in ${join(folder, 'cni')};`,
    )
  })

  it('do not count when they cannot be run', async () => {
    install('bin', programs)
    install('cni', plugins)
    rmSync(join(folder, 'bin', 'runc'))
    writeFileSync(join(folder, 'bin', 'runc'), '', { mode: 0o644 })

    await expect(find()).rejects.toThrow('runc is not in')
  })
})

function find() {
  return findBinaries({ path: [join(folder, 'bin')], cniPath: [join(folder, 'cni')] })
}

function install(place: string, names: readonly string[]): void {
  for (const name of names) writeFileSync(join(folder, place, name), '#!/bin/sh\n', { mode: 0o755 })
}
