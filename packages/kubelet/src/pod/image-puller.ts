import { messageOf } from '@outrigger/foundation'
import { type Container, type Pod, resources, type Secret } from '@outrigger/kube'
import { type ImageState, type RegistryCredentials, RuntimeError } from '../runtime.ts'
import { imageNameProblem } from './image-name.ts'
import type { NodeContext } from './node-context.ts'
import { type ContainerLife, fieldPathOf } from './pod-life.ts'
import { formatGoMilliseconds, RestartBackoff } from './restart-backoff.ts'

export type ImageAnswer =
  | { readonly kind: 'present'; readonly image: ImageState }
  | {
      readonly kind: 'waiting'
      readonly reason: string
      readonly message: string
      /** When to try again: milliseconds since 1970. */
      readonly until: number
    }

const retryPause = 10_000

/** Sees to it that the images of one pod are there. */
export class ImagePuller {
  readonly #context: NodeContext
  readonly #backoff = new RestartBackoff()
  /** The last failure and whether it has been told that we wait. */
  readonly #failures = new Map<string, { message: string; at: number; isTold: boolean }>()

  constructor(context: NodeContext) {
    this.#context = context
  }

  async ensure(pod: Pod, life: ContainerLife, signal: AbortSignal): Promise<ImageAnswer> {
    const { runtime, clock } = this.#context
    const name = life.spec.image ?? ''
    const problem = imageNameProblem(name)
    if (problem !== undefined)
      return this.#cannotInspect(pod, life, new RuntimeError('image-name-invalid', problem))
    let present: ImageState | undefined
    try {
      present = await runtime.imageStatus(name, signal)
    } catch (error) {
      if (signal.aborted) throw error
      return this.#cannotInspect(pod, life, error)
    }
    const policy = life.spec.imagePullPolicy ?? defaultPolicy(life.spec)
    const tell = this.#teller(pod, life)
    if (present !== undefined && policy !== 'Always') {
      tell(
        'Normal',
        'Pulled',
        `Container image "${name}" already present on machine and can be accessed by the pod`,
      )
      return { kind: 'present', image: present }
    }
    if (policy === 'Never') {
      const message = `Container image "${name}" is not present with pull policy of Never`
      tell('Warning', 'ErrImageNeverPull', message)
      tell('Warning', 'Failed', 'Error: ErrImageNeverPull')
      return { kind: 'waiting', reason: 'ErrImageNeverPull', message, until: clock.now() + retryPause }
    }
    const failure = this.#failures.get(name)
    const until = failure && this.#backoff.waitUntil(name, failure.at, clock.now())
    if (failure !== undefined && until !== undefined) {
      if (!failure.isTold) {
        tell('Normal', 'BackOff', `Back-off pulling image "${name}"`)
        tell('Warning', 'Failed', 'Error: ImagePullBackOff')
        failure.isTold = true
      }
      const message = `Back-off pulling image "${name}": ErrImagePull: ${failure.message}`
      return { kind: 'waiting', reason: 'ImagePullBackOff', message, until }
    }
    return this.#pull(pod, life, name, signal)
  }

  async #pull(pod: Pod, life: ContainerLife, name: string, signal: AbortSignal): Promise<ImageAnswer> {
    const { clock } = this.#context
    const tell = this.#teller(pod, life)
    tell('Normal', 'Pulling', `Pulling image "${name}"`)
    const began = clock.monotonic()
    try {
      const image = await this.#pullWithSecrets(pod, name, signal)
      const took = formatGoMilliseconds(clock.monotonic() - began)
      tell(
        'Normal',
        'Pulled',
        `Successfully pulled image "${name}" in ${took} (${took} including waiting). Image size: ${image.size} bytes.`,
      )
      this.#failures.delete(name)
      return { kind: 'present', image }
    } catch (error) {
      if (signal.aborted) throw error
      if (error instanceof RuntimeError && error.code === 'image-name-invalid') {
        return this.#cannotInspect(pod, life, error)
      }
      const message = messageOf(error)
      this.#backoff.next(name, clock.now())
      this.#failures.set(name, { message, at: clock.now(), isTold: false })
      tell('Warning', 'Failed', `Failed to pull image "${name}": ${message}`)
      tell('Warning', 'Failed', 'Error: ErrImagePull')
      // A moment later the pod is looked at again and reads ImagePullBackOff.
      return { kind: 'waiting', reason: 'ErrImagePull', message, until: clock.now() + 1000 }
    }
  }

  /** Every credential that fits is tried, as kubelet does it; without any, once without. */
  async #pullWithSecrets(pod: Pod, name: string, signal: AbortSignal): Promise<ImageState> {
    const credentials = await this.#credentials(pod, name, signal)
    if (credentials.length === 0) return this.#context.runtime.pullImage(name, undefined, signal)
    let last: unknown
    for (const each of credentials) {
      try {
        return await this.#context.runtime.pullImage(name, each, signal)
      } catch (error) {
        if (signal.aborted) throw error
        last = error
      }
    }
    throw last
  }

  async #credentials(pod: Pod, image: string, signal: AbortSignal): Promise<RegistryCredentials[]> {
    const found: RegistryCredentials[] = []
    for (const { name } of pod.spec.imagePullSecrets ?? []) {
      if (!name) continue
      try {
        const key = { namespace: pod.metadata.namespace ?? '', name }
        const secret = await this.#context.client.get<Secret>(resources.secrets, key, { signal })
        found.push(...credentialsFor(image, secret))
      } catch (error) {
        if (signal.aborted) throw error
        this.#context.record(
          pod,
          'Warning',
          'FailedToRetrieveImagePullSecret',
          `Unable to retrieve some image pull secrets (${name}); attempting to pull the image may not succeed.`,
        )
      }
    }
    return found
  }

  #cannotInspect(pod: Pod, life: ContainerLife, error: unknown): ImageAnswer {
    const tell = this.#teller(pod, life)
    const name = life.spec.image ?? ''
    const isName = error instanceof RuntimeError && error.code === 'image-name-invalid'
    const message = isName
      ? `Failed to apply default image tag "${name}": ${messageOf(error)}`
      : `Failed to inspect image "${name}": ${messageOf(error)}`
    const reason = isName ? 'InvalidImageName' : 'ImageInspectError'
    tell('Warning', 'InspectFailed', message)
    tell('Warning', 'Failed', `Error: ${reason}`)
    return { kind: 'waiting', reason, message, until: this.#context.clock.now() + retryPause }
  }

  #teller(pod: Pod, life: ContainerLife) {
    return (type: 'Normal' | 'Warning', reason: string, message: string) =>
      this.#context.record(pod, type, reason, message, fieldPathOf(life))
  }
}

function defaultPolicy(spec: Container): 'Always' | 'IfNotPresent' {
  const image = spec.image ?? ''
  const last = image.slice(image.lastIndexOf('/') + 1)
  if (last.includes('@')) return 'IfNotPresent'
  return !last.includes(':') || last.endsWith(':latest') ? 'Always' : 'IfNotPresent'
}

/** What a docker config Secret holds for the registry of an image. */
export function credentialsFor(image: string, secret: Secret): RegistryCredentials[] {
  const text = secret.data?.['.dockerconfigjson'] ?? secret.data?.['.dockercfg']
  if (text === undefined) return []
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(text, 'base64').toString('utf8'))
  } catch {
    return []
  }
  const auths =
    secret.data?.['.dockerconfigjson'] === undefined ? parsed : (parsed as { auths?: unknown })?.auths
  if (typeof auths !== 'object' || auths === null) return []
  const registry = registryOf(image)
  return Object.entries(auths)
    .filter(([key]) => registryKey(key) === registry || image.startsWith(`${registryKey(key)}/`))
    .flatMap(([, entry]) => readAuth(entry))
}

/** Without the server's address, as kubelet hands them over: a runtime would compare it with the registry's host. */
function readAuth(entry: unknown): RegistryCredentials[] {
  if (typeof entry !== 'object' || entry === null) return []
  const { username, password, auth, identitytoken, registrytoken } = entry as Record<string, unknown>
  const decoded = typeof auth === 'string' ? Buffer.from(auth, 'base64').toString('utf8') : ''
  const colon = decoded.indexOf(':')
  const user = typeof username === 'string' ? username : colon > 0 ? decoded.slice(0, colon) : undefined
  const secret = typeof password === 'string' ? password : colon > 0 ? decoded.slice(colon + 1) : undefined
  return [
    {
      ...(user !== undefined && { username: user }),
      ...(secret !== undefined && { password: secret }),
      ...(typeof identitytoken === 'string' && { identityToken: identitytoken }),
      ...(typeof registrytoken === 'string' && { registryToken: registrytoken }),
    },
  ]
}

function registryOf(image: string): string {
  const first = image.split('/')[0]!
  const isHost = image.includes('/') && (first.includes('.') || first.includes(':') || first === 'localhost')
  return isHost ? first : 'docker.io'
}

function registryKey(key: string): string {
  const plain = key.replace(/^https?:\/\//, '').replace(/\/(v1|v2)?\/?$/, '')
  return plain === 'index.docker.io' || plain === 'registry-1.docker.io' ? 'docker.io' : plain
}
