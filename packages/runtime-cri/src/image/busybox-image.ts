import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { UserError } from '@outrigger/foundation'
import { findProgram } from '../containerd/binaries.ts'
import { buildImage, type OciImage } from './oci-image.ts'
import type { TarEntry } from './tar.ts'

const run = promisify(execFile)

/** A busybox of this machine and the commands it knows. */
export interface Busybox {
  readonly program: Buffer
  readonly applets: readonly string[]
}

/** Reads this machine's busybox. @throws UserError when there is none, or it needs shared libraries. */
export async function readBusybox(path: readonly string[]): Promise<Busybox> {
  const remedy = 'install it (Debian, Ubuntu: apt-get install -y busybox-static)'
  const file = await findProgram('busybox', path)
  if (file === undefined) throw new UserError('cannot build images: busybox is not installed', remedy)
  const program = await readFile(file)
  if (hasInterpreter(program))
    throw new UserError('cannot build images: busybox needs shared libraries', remedy)
  const { stdout } = await run(file, ['--list'], { timeout: 10_000 })
  return { program, applets: stdout.split('\n').filter((name) => name !== '') }
}

/** Whether an ELF64 program wants a dynamic loader (a segment of type PT_INTERP). */
function hasInterpreter(program: Buffer): boolean {
  const start = Number(program.readBigUInt64LE(32))
  const size = program.readUInt16LE(54)
  const count = program.readUInt16LE(56)
  return Array.from({ length: count }, (_, index) => program.readUInt32LE(start + index * size)).includes(3)
}

/** A small Linux: busybox, a link for each of its commands, and the files programs expect. */
export function busyboxFiles(busybox: Busybox): readonly TarEntry[] {
  const folder = (path: string, mode = 0o755): TarEntry => ({ kind: 'directory', path, mode })
  const text = (path: string, content: string): TarEntry => ({
    kind: 'file',
    path,
    mode: 0o644,
    content: Buffer.from(content),
  })
  return [
    ...[
      'bin',
      'dev',
      'etc',
      'home',
      'proc',
      'root',
      'sys',
      'usr',
      'usr/bin',
      'usr/sbin',
      'var',
      'var/www',
    ].map((path) => folder(path)),
    ...['tmp', 'var/tmp'].map((path) => folder(path, 0o1777)),
    { kind: 'file', path: 'bin/busybox', mode: 0o755, content: busybox.program },
    ...busybox.applets
      .filter((name) => name !== 'busybox')
      .map((name): TarEntry => ({ kind: 'link', path: `bin/${name}`, target: '/bin/busybox' })),
    { kind: 'link', path: 'usr/bin/env', target: '/bin/busybox' },
    text(
      'etc/passwd',
      'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n',
    ),
    text('etc/group', 'root:x:0:\ndaemon:x:1:\nnobody:x:65534:\n'),
    text('etc/shadow', 'root:*::0:::::\nnobody:*::0:::::\n'),
  ]
}

/** Stands in for `busybox`: a shell and the usual small commands. */
export function busyboxImage(reference: string, busybox: Busybox): OciImage {
  return buildImage({ reference, files: busyboxFiles(busybox), command: ['sh'] })
}
