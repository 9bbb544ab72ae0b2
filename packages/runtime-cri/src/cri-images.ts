import { type ImageState, type RegistryCredentials, RuntimeError } from '@outrigger/kubelet/runtime'
import type { CriCalls } from './cri-calls.ts'
import type { Image } from './generated/cri-messages.ts'

/** Milliseconds after which a pull is given up. */
const pullTimeout = 60 * 60_000

/** The images of one runtime. */
export class CriImages {
  readonly #calls: CriCalls

  constructor(calls: CriCalls) {
    this.#calls = calls
  }

  async status(image: string, signal: AbortSignal): Promise<ImageState | undefined> {
    const answer = await this.#calls.call('other', 'ImageStatus', { image: { image } }, { signal })
    return answer.image === undefined ? undefined : imageState(answer.image)
  }

  async pull(
    image: string,
    credentials: RegistryCredentials | undefined,
    signal: AbortSignal,
  ): Promise<ImageState> {
    const auth = credentials && { ...credentials }
    const request = { image: { image }, auth }
    const { imageRef } = await this.#calls.call('pull', 'PullImage', request, {
      signal,
      timeout: pullTimeout,
    })
    const state = await this.status(imageRef ?? image, signal)
    if (state !== undefined) return state
    throw new RuntimeError('image-pull-failed', `image "${image}" vanished after it was pulled`)
  }

  async list(signal: AbortSignal): Promise<readonly ImageState[]> {
    const answer = await this.#calls.call('other', 'ListImages', {}, { signal })
    return (answer.images ?? []).map(imageState)
  }

  async remove(image: string, signal: AbortSignal): Promise<void> {
    await this.#calls.callFineIfGone('RemoveImage', { image: { image } }, { signal })
  }
}

function imageState(image: Image): ImageState {
  return {
    id: image.id ?? '',
    tags: image.repoTags ?? [],
    digests: image.repoDigests ?? [],
    size: image.size ?? 0,
    uid: image.uid?.value ?? (image.uid === undefined ? undefined : 0),
    username: image.username ?? '',
  }
}
