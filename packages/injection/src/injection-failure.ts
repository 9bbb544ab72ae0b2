/** Why a pod cannot be injected and so must not be created: for its author or the SidecarSet's. */
export class InjectionFailure extends Error {
  override readonly name = 'InjectionFailure'
  /** The SidecarSet at fault, or the pod's annotation. */
  readonly culprit: string

  constructor(culprit: string, message: string, options?: ErrorOptions) {
    super(`${culprit}: ${message}`, options)
    this.culprit = culprit
  }
}
