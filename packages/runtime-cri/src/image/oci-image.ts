import { createHash } from 'node:crypto'
import { arch } from 'node:os'
import { packTar, type TarEntry } from './tar.ts'

/** What an image is made of. */
export interface ImageRecipe {
  /** Full name with registry and tag: `docker.io/library/busybox:1.36`. */
  readonly reference: string
  readonly files: readonly TarEntry[]
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  /** `NAME=value`. */
  readonly environment?: readonly string[]
  readonly user?: string
  readonly workingDirectory?: string
  /** As Go names it. Defaults to this machine's. */
  readonly architecture?: string
}

export interface Blob {
  readonly mediaType: string
  /** `sha256:...` */
  readonly digest: string
  readonly content: Buffer
}

/** A one-layer image. */
export interface OciImage {
  readonly reference: string
  readonly manifest: Blob
  readonly config: Blob
  readonly layer: Blob
}

const oci = 'application/vnd.oci.image'

/** Builds an image in memory. The same recipe gives the same digests. */
export function buildImage(recipe: ImageRecipe): OciImage {
  const layer = blob(`${oci}.layer.v1.tar`, packTar(recipe.files))
  const config = blob(
    `${oci}.config.v1+json`,
    json({
      created: '1970-01-01T00:00:00Z',
      architecture: recipe.architecture ?? machineArchitecture(),
      os: 'linux',
      config: {
        Env: recipe.environment ?? ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        Entrypoint: recipe.entrypoint,
        Cmd: recipe.command,
        User: recipe.user,
        WorkingDir: recipe.workingDirectory,
      },
      rootfs: { type: 'layers', diff_ids: [layer.digest] },
      history: [{ created: '1970-01-01T00:00:00Z', created_by: 'outrigger' }],
    }),
  )
  const manifest = blob(
    `${oci}.manifest.v1+json`,
    json({
      schemaVersion: 2,
      mediaType: `${oci}.manifest.v1+json`,
      config: descriptor(config),
      layers: [descriptor(layer)],
    }),
  )
  return { reference: recipe.reference, manifest, config, layer }
}

/** The image as an OCI archive that `ctr images import` understands. */
export function imageArchive(image: OciImage): Buffer {
  const blobs = [image.config, image.layer, image.manifest]
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor(image.manifest),
        annotations: {
          'io.containerd.image.name': image.reference,
          'org.opencontainers.image.ref.name': image.reference.slice(image.reference.lastIndexOf(':') + 1),
        },
      },
    ],
  })
  const file = (path: string, content: Uint8Array): TarEntry => ({ kind: 'file', path, mode: 0o644, content })
  return packTar([
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', index),
    { kind: 'directory', path: 'blobs', mode: 0o755 },
    { kind: 'directory', path: 'blobs/sha256', mode: 0o755 },
    ...blobs.map((one) => file(`blobs/sha256/${one.digest.slice('sha256:'.length)}`, one.content)),
  ])
}

/** This machine's processor in Go's words. */
export function machineArchitecture(): string {
  const names: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }
  return names[arch()] ?? arch()
}

function blob(mediaType: string, content: Buffer): Blob {
  return { mediaType, digest: `sha256:${createHash('sha256').update(content).digest('hex')}`, content }
}

function descriptor(one: Blob): { mediaType: string; digest: string; size: number } {
  return { mediaType: one.mediaType, digest: one.digest, size: one.content.length }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}
