import { type Clock, messageOf, withDeadline } from '@outrigger/foundation'
import type { PodRuntime } from '@outrigger/kubelet/runtime'
import { importImage } from './import-image.ts'
import type { OciImage } from './oci-image.ts'

export interface EnsureImageOptions {
  /** Full name with registry and tag: `docker.io/hashicorp/http-echo:latest`. */
  readonly reference: string
  readonly runtime: Pick<PodRuntime, 'imageStatus' | 'pullImage'>
  /** Makes the stand-in; called only when the image cannot be pulled. */
  readonly build: (reference: string) => Promise<OciImage>
  readonly ctr: string
  readonly socket: string
  readonly clock: Clock
  /** Milliseconds to wait for the registry. Defaults to 20,000. */
  readonly pullTimeout?: number
}

/** Where an image came from. */
export type ImageOrigin =
  | { readonly from: 'this machine' }
  | { readonly from: 'registry' }
  /** A stand-in, because of this failure to pull. */
  | { readonly from: 'local build'; readonly because: string }

/** Sees to it that an image is there: pulls it, or builds a stand-in under exactly its name. */
export async function ensureImage(options: EnsureImageOptions, signal: AbortSignal): Promise<ImageOrigin> {
  const { reference, runtime, clock } = options
  if ((await runtime.imageStatus(reference, signal)) !== undefined) return { from: 'this machine' }
  let because: string
  try {
    await withDeadline(
      clock,
      options.pullTimeout ?? 20_000,
      `pulling ${reference}`,
      (limited) => runtime.pullImage(reference, undefined, limited),
      signal,
    )
    return { from: 'registry' }
  } catch (error) {
    signal.throwIfAborted()
    because = messageOf(error)
  }
  await importImage(await options.build(reference), {
    ...options,
    isPresent: async () => (await runtime.imageStatus(reference, signal)) !== undefined,
  })
  return { from: 'local build', because }
}
