import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { dirname, posix, resolve } from 'node:path'
import { promisify } from 'node:util'
import { SystemClock } from '@outrigger/foundation'
import {
  buildImage,
  busyboxImage,
  findBinaries,
  importImage,
  type OciImage,
  readBusybox,
  systemPath,
  type TarEntry,
} from '@outrigger/runtime-cri'

const sidecar = resolve(import.meta.dirname, '../../examples/hand-over/sidecar.mjs')
const tools = ['sh', 'test', 'kill', 'sleep']

/**
 * Gives a containerd the images of examples/hand-over, made of this machine's Node.js and busybox: `example/greeter:1`, `:2` and
 * `:empty`, and the two sidecars that do not keep the contract, `example/waiter` and `example/crasher`. And a client.
 */
export async function importGreeterImages(socket: string): Promise<void> {
  const { ctr } = await findBinaries({ path: systemPath })
  const give = (image: OciImage) =>
    importImage(image, { ctr, socket, clock: new SystemClock(), isPresent: async () => true })
  const files = await greeterFiles()
  for (const version of ['1', '2']) {
    const environment = [`GREETING=${version}`, 'PATH=/bin']
    await give(nodeImage(`greeter:${version}`, files, environment))
    await give(nodeImage(`waiter:${version}`, files, [...environment, 'HAND_OVER=wait']))
    await give(nodeImage(`crasher:${version}`, files, [...environment, 'HAND_OVER=crash']))
  }
  await give(emptyImage())
  await give(busyboxImage('docker.io/library/busybox:1.36', await readBusybox(systemPath)))

  function nodeImage(name: string, content: readonly TarEntry[], environment: readonly string[]): OciImage {
    return buildImage({
      reference: `docker.io/example/${name}`,
      files: content,
      entrypoint: ['/bin/node', '/sidecar.mjs'],
      environment,
    })
  }

  /** Ready from the start, idle, and gone as soon as it is told to. */
  function emptyImage(): OciImage {
    return buildImage({
      reference: 'docker.io/example/greeter:empty',
      files: [...files.filter(({ path }) => !path.includes('node')), file('tmp/ready', Buffer.of())],
      entrypoint: ['/bin/sh', '-c', "trap 'exit 0' TERM; sleep 2147483647 & wait"],
      environment: ['PATH=/bin'],
    })
  }
}

const file = (path: string, content: Uint8Array, mode = 0o644): TarEntry => ({
  kind: 'file',
  path,
  mode,
  content,
})

async function greeterFiles(): Promise<TarEntry[]> {
  const { program } = await readBusybox(systemPath)
  const libraries = await sharedLibraries(process.execPath)
  const paths = [
    'bin',
    'tmp',
    'proc',
    'sys',
    'dev',
    'etc',
    'hand-over',
    ...libraries.map((path) => path.slice(1)),
  ]
  const folders = new Set(
    paths.flatMap((path) => (libraries.includes(`/${path}`) ? parentsOf(path) : [path])),
  )
  return [
    ...[...folders].map(
      (path): TarEntry => ({ kind: 'directory', path, mode: path === 'tmp' ? 0o1777 : 0o755 }),
    ),
    file('bin/busybox', program, 0o755),
    ...tools.map((name): TarEntry => ({ kind: 'link', path: `bin/${name}`, target: '/bin/busybox' })),
    file('bin/node', await readFile(process.execPath), 0o755),
    ...(await Promise.all(libraries.map(async (path) => file(path.slice(1), await readFile(path), 0o755)))),
    file('sidecar.mjs', await readFile(sidecar)),
  ]
}

/** `lib64/x/y.so` lies in `lib64` and `lib64/x`. */
function parentsOf(path: string): string[] {
  const parent = posix.normalize(dirname(path))
  return parent === '.' ? [] : [...parentsOf(parent), parent]
}

/** Where the loader finds what a program is linked to, the loader itself included. */
async function sharedLibraries(program: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ldd', [program]).catch(() => ({ stdout: '' }))
  return [...stdout.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map(([, path = '']) => path)
}
