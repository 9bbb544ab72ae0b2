import { type Manifest, placeOf, titleOf } from '../manifests/manifest-files.ts'
import type { Paint } from '../rendering/paint.ts'
import { lineOfField, parseFieldSteps } from './field-line.ts'

/** Something about one manifest that its author should know. */
export interface Finding {
  readonly file: string
  /** Of the field where it can be told, else of the document; from 1. */
  readonly line: number
  /** An error is refused by the cluster, a warning is accepted and may not do what was meant. */
  readonly severity: 'error' | 'warning'
  /** `SidecarSet logs`. */
  readonly object: string
  readonly field: string
  /** What is wrong and how to mend it. */
  readonly message: string
}

export function findingAt(
  manifest: Manifest,
  severity: Finding['severity'],
  field: string,
  message: string,
): Finding {
  const { file, document, item, object } = manifest
  const prefix = item === undefined ? [] : ['items', item]
  const line = document.line + lineOfField(document.text, [...prefix, ...parseFieldSteps(field)]) - 1
  return { file, line, severity, object: titleOf(object), field, message }
}

/** `pods.yaml:7: error: Pod default/web: spec.x: ...`, a line editors and CI systems understand. */
export function formatFinding(finding: Finding, paint: Paint): string {
  const { severity, object, field, message } = finding
  const word = severity === 'error' ? paint.removed(severity) : paint.warning(severity)
  return `${placeOf(finding)}: ${word}: ${object}: ${field === '' ? '' : `${field}: `}${message}\n`
}
