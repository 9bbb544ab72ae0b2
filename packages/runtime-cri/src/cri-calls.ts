import { RuntimeError } from '@outrigger/kubelet/runtime'
import { type CriTask, callFailure, isGone } from './call-failure.ts'
import type { CallOptions, CriChannel } from './cri-channel.ts'
import type { CriMethods } from './generated/cri-messages.ts'

/** Calls to the runtime whose refusals arrive as `RuntimeError`, in the words a kubelet shows. */
export class CriCalls {
  readonly #channel: Pick<CriChannel, 'call'>

  constructor(channel: Pick<CriChannel, 'call'>) {
    this.#channel = channel
  }

  /** @throws RuntimeError */
  async call<M extends keyof CriMethods>(
    task: CriTask,
    method: M,
    request: CriMethods[M]['request'],
    options: CallOptions,
  ): Promise<CriMethods[M]['response']> {
    return this.told(task, () => this.#channel.call(method, request, options))
  }

  /** A call that is fine with what it is about being gone. @throws RuntimeError */
  async callFineIfGone<M extends keyof CriMethods>(
    method: M,
    request: CriMethods[M]['request'],
    options: CallOptions,
  ): Promise<void> {
    await this.told('other', async () => {
      try {
        await this.#channel.call(method, request, options)
      } catch (error) {
        if (!isGone(error)) throw error
      }
    })
  }

  /** Words the failures of work that consists of calls. */
  async told<T>(task: CriTask, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw callFailure(task, error)
    }
  }

  /** Words the failures of a stream's connection: the runtime cannot be reached. An abort stays one. */
  async streamed<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof RuntimeError || !(error instanceof Error) || error.name === 'AbortError')
        throw error
      throw new RuntimeError('unavailable', error.message, { cause: error })
    }
  }
}
