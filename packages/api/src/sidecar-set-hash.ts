import { goJson, type JsonValue } from './go-json.ts'
import { sha256Hex } from './sha256.ts'
import { projectSidecarContainers } from './sidecar-container-shape.ts'
import { isNativeSidecar, type SidecarContainer, type SidecarSetSpec } from './sidecar-set.ts'

export interface SidecarSetHashes {
  /** Value of `kruise.io/sidecarset-hash`. */
  readonly hash: string
  /** The same with every image left out: equal when a change can be made in place. */
  readonly hashWithoutImage: string
}

/**
 * The two hashes of a **defaulted** SidecarSet, byte for byte as OpenKruise computes them. Only
 * containers count, and init containers if one of them is a native sidecar.
 */
export function sidecarSetHashes(spec: SidecarSetSpec): SidecarSetHashes {
  return { hash: safeHash(hashText(spec)), hashWithoutImage: safeHash(hashText(withoutImages(spec))) }
}

/** The text that is hashed. */
export function hashText(spec: SidecarSetSpec): string {
  const subject: Record<string, JsonValue> = { containers: projectSidecarContainers(spec.containers) }
  if (spec.initContainers?.some(isNativeSidecar))
    subject['initContainers'] = projectSidecarContainers(spec.initContainers)
  return goJson(subject)
}

function withoutImages(spec: SidecarSetSpec): SidecarSetSpec {
  const strip = (containers: SidecarContainer[] | null | undefined) =>
    containers?.map(({ image: _, ...rest }) => rest) ?? null
  return { ...spec, containers: strip(spec.containers), initContainers: strip(spec.initContainers) }
}

const alphabet = 'bcdfghjklmnpqrstvwxz2456789'

/** Maps each character to one that can form no word. Lossy, as in the original. */
export function safeEncode(text: string): string {
  let encoded = ''
  for (let i = 0; i < text.length; i++) encoded += alphabet[text.charCodeAt(i) % alphabet.length]
  return encoded
}

function safeHash(text: string): string {
  return safeEncode(sha256Hex(text))
}
