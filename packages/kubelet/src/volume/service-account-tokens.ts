import type { Client } from '@outrigger/client'
import { type Clock, parseTime } from '@outrigger/foundation'
import { type Pod, resources } from '@outrigger/kube'

interface Token {
  readonly text: string
  /** Milliseconds since 1970. */
  readonly refreshAt: number
}

interface TokenRequest {
  readonly status?: { readonly token?: string; readonly expirationTimestamp?: string }
}

export interface TokenWish {
  readonly audience: string | undefined
  readonly expirationSeconds: number
}

/** Tokens of pods' service accounts, each bound to its pod, asked for anew at 80 % of their life. */
export class ServiceAccountTokens {
  readonly #client: Client
  readonly #clock: Clock
  readonly #tokens = new Map<string, Map<string, Token>>()

  constructor(client: Client, clock: Clock) {
    this.#client = client
    this.#clock = clock
  }

  /** @throws ApiError, ConnectionError */
  async token(pod: Pod, wish: TokenWish, signal: AbortSignal): Promise<string> {
    const uid = pod.metadata.uid ?? ''
    const key = `${wish.audience ?? ''}/${wish.expirationSeconds}`
    const ofPod = this.#tokens.get(uid) ?? new Map<string, Token>()
    this.#tokens.set(uid, ofPod)
    const known = ofPod.get(key)
    if (known !== undefined && this.#clock.now() < known.refreshAt) return known.text
    const fresh = await this.#request(pod, wish, signal)
    ofPod.set(key, fresh)
    return fresh.text
  }

  forget(podUid: string): void {
    this.#tokens.delete(podUid)
  }

  async #request(pod: Pod, wish: TokenWish, signal: AbortSignal): Promise<Token> {
    const key = {
      namespace: pod.metadata.namespace ?? 'default',
      name: pod.spec.serviceAccountName || 'default',
    }
    const body = {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      metadata: {},
      spec: {
        audiences: wish.audience === undefined ? [] : [wish.audience],
        expirationSeconds: wish.expirationSeconds,
        boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
      },
    }
    const asked = this.#clock.now()
    const answer = await this.#client.createSubresource<TokenRequest>(
      resources.serviceAccounts,
      key,
      'token',
      body,
      { signal },
    )
    const text = answer.status?.token
    if (text === undefined) throw new Error('the API server answered a token request without a token')
    const expires = parseTime(answer.status?.expirationTimestamp ?? '')
    const life = Number.isNaN(expires) ? wish.expirationSeconds * 1000 : expires - asked
    return { text, refreshAt: asked + life * 0.8 }
  }
}
