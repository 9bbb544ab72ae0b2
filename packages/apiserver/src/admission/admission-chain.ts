import type { AdmissionAttributes, AdmissionPlugin } from './plugin.ts'

/** The admission steps in their order. */
export interface AdmissionChain {
  /** Resolves with whether any step had a say, that is, whether the object may have changed. */
  mutate(attributes: AdmissionAttributes, signal: AbortSignal): Promise<boolean>
  validate(attributes: AdmissionAttributes, signal: AbortSignal): Promise<void>
}

/** Runs mutating steps one after the other, in the order given, and validating steps likewise. */
export function createAdmissionChain(plugins: readonly AdmissionPlugin[]): AdmissionChain {
  const mutating = plugins.filter((plugin) => plugin.mutate !== undefined)
  const validating = plugins.filter((plugin) => plugin.validate !== undefined)
  return {
    async mutate(attributes, signal) {
      let hadSay = false
      for (const plugin of mutating) {
        if (!plugin.concerns(attributes)) continue
        hadSay = true
        const done = plugin.mutate?.(attributes, signal)
        if (done !== undefined) await done
      }
      return hadSay
    },
    async validate(attributes, signal) {
      for (const plugin of validating) {
        if (!plugin.concerns(attributes)) continue
        const done = plugin.validate?.(attributes, signal)
        if (done !== undefined) await done
      }
    },
  }
}
