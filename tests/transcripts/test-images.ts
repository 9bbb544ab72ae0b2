import { SystemClock } from '@outrigger/foundation'
import {
  buildImage,
  findBinaries,
  importImage,
  readBusybox,
  systemPath,
  type TarEntry,
} from '@outrigger/runtime-cri'

/** Gives a containerd the images of the recordings: a busybox that knows its own tag. */
export async function importTestImages(socket: string, tags: readonly string[]): Promise<void> {
  const busybox = await readBusybox(systemPath)
  const { ctr } = await findBinaries({ path: systemPath })
  const folders = ['bin', 'etc', 'proc', 'root', 'sys', 'dev', 'tmp', 'var'].map(
    (path): TarEntry => ({ kind: 'directory', path, mode: 0o755 }),
  )
  const links = busybox.applets
    .filter((name) => name !== 'busybox')
    .map((name): TarEntry => ({ kind: 'link', path: `bin/${name}`, target: '/bin/busybox' }))
  for (const tag of tags) {
    const text = (path: string, content: string): TarEntry => ({
      kind: 'file',
      path,
      mode: 0o644,
      content: Buffer.from(content),
    })
    const image = buildImage({
      reference: `docker.io/library/busybox:${tag}`,
      files: [
        ...folders,
        { kind: 'file', path: 'bin/busybox', mode: 0o755, content: busybox.program },
        ...links,
        text('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\n'),
        text('etc/group', 'root:x:0:\n'),
        text('etc/image-version', `${tag}\n`),
      ],
      command: ['sh'],
    })
    await importImage(image, { ctr, socket, clock: new SystemClock(), isPresent: async () => true })
  }
}
