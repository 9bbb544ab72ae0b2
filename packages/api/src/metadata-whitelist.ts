import {
  compileLabelSelector,
  type FieldError,
  isRecord,
  type LabelSelector,
  required,
} from '@outrigger/kube'
import { compileNamePattern, type NamePattern } from './name-pattern.ts'
import { whitelistConfigMap } from './names.ts'
import type { SidecarSet } from './sidecar-set.ts'

/** Which annotations SidecarSets may patch on pods. */
export interface MetadataWhitelist {
  /** The text under the ConfigMap's key; `undefined` or empty: there is none. */
  readonly text: string | undefined
  /** OpenKruise's gate SidecarSetPatchPodMetadataDefaultsAllowed: what no rule covers is allowed. */
  readonly allowsByDefault: boolean
}

const field = 'spec.patchPodMetadata'

/**
 * Which of the annotations a SidecarSet patches are not allowed. A whitelist that cannot be read allows nothing:
 * guessing could open what an administrator meant to close.
 */
export function whitelistErrors(sidecarSet: SidecarSet, whitelist: MetadataWhitelist): FieldError[] {
  const keys = (sidecarSet.spec.patchPodMetadata ?? []).flatMap(({ annotations }) =>
    Object.keys(annotations ?? {}),
  )
  if (keys.length === 0) return []
  const where = `ConfigMap ${whitelistConfigMap.name}, key ${whitelistConfigMap.key}`
  const rules = whitelist.text ? applicableRules(whitelist.text, sidecarSet) : []
  if (typeof rules === 'string')
    return [required(field, `the whitelist in ${where} cannot be read: ${rules}`)]
  if (rules.length === 0) {
    if (whitelist.allowsByDefault) return []
    return [required(field, `no whitelist found for this SidecarSet; allow its annotations in ${where}`)]
  }
  const refused = keys.filter((key) => !rules.some((rule) => rule.occursIn(key)))
  return refused.map((key) =>
    required(field, `annotation ${key} is not allowed by the whitelist in ${where}`),
  )
}

/** The patterns of all rules for this SidecarSet, or a sentence about what cannot be read. */
function applicableRules(text: string, { metadata }: SidecarSet): NamePattern[] | string {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'it is no JSON'
  }
  const rules = isRecord(value) ? (value['rules'] ?? []) : undefined
  if (!Array.isArray(rules)) return 'it has no list of rules'
  const patterns: NamePattern[] = []
  for (const rule of rules) {
    const applies = isRecord(rule) ? ruleApplies(rule['selector'], metadata.labels ?? {}) : undefined
    if (applies === undefined) return 'the selector of a rule is none'
    if (!applies) continue
    const expressions = (rule as Record<string, unknown>)['allowedAnnotationKeyExprs'] ?? []
    if (!Array.isArray(expressions)) return 'allowedAnnotationKeyExprs is no list'
    for (const expression of expressions) {
      const pattern = typeof expression === 'string' ? compileNamePattern(expression) : undefined
      if (pattern === undefined) return `${JSON.stringify(expression)} is no regular expression`
      patterns.push(pattern)
    }
  }
  return patterns
}

/** An absent selector applies to all; `undefined`: it cannot be understood. */
function ruleApplies(selector: unknown, labels: Readonly<Record<string, string>>): boolean | undefined {
  if (selector === undefined || selector === null) return true
  if (!isRecord(selector)) return undefined
  try {
    return compileLabelSelector(selector as LabelSelector).matches(labels)
  } catch {
    return undefined
  }
}
