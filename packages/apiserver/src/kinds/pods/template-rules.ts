import {
  forbidden,
  invalid,
  type LabelSelector,
  type ObjectMeta,
  type PodTemplateSpec,
  required,
} from '@outrigger/kube'
import {
  checkLabelSelector,
  checkLabels,
  type Errors,
  isEmptySelector,
  notSupported,
  selectorFits,
} from '../field-checks.ts'
import { checkPodSpec } from './pod-spec-rules.ts'
import { podWarnings } from './pod-warnings.ts'

/** A pod template anywhere. */
export function checkTemplate(errors: Errors, path: string, template: PodTemplateSpec | undefined): void {
  if (template === undefined || template === null) {
    errors.push(required(path))
    return
  }
  checkLabels(errors, `${path}.labels`, template.metadata?.labels)
  if (template.spec === undefined) return
  checkPodSpec(errors, `${path}.spec`, template.spec)
  if ((template.spec.ephemeralContainers ?? []).length > 0)
    errors.push(
      forbidden(`${path}.spec.ephemeralContainers`, 'ephemeral containers not allowed in pod template'),
    )
}

/** The template of a workload that keeps pods running: its labels match and its pods restart always. */
export function checkLastingTemplate(
  errors: Errors,
  path: string,
  template: PodTemplateSpec | undefined,
  selector: LabelSelector | undefined,
): void {
  if (template !== undefined && template !== null && !(selector !== undefined && isEmptySelector(selector))) {
    const labels = template.metadata?.labels
    if (!selectorFits(selector, labels))
      errors.push(
        invalid(`${path}.metadata.labels`, labels ?? null, '`selector` does not match template `labels`'),
      )
  }
  checkTemplate(errors, path, template)
  const spec = template?.spec
  if (spec?.restartPolicy !== undefined && spec.restartPolicy !== 'Always')
    errors.push(notSupported(`${path}.spec.restartPolicy`, spec.restartPolicy, ['Always']))
  if (spec?.activeDeadlineSeconds !== undefined)
    errors.push(
      forbidden(`${path}.spec.activeDeadlineSeconds`, 'activeDeadlineSeconds in ReplicaSet is not Supported'),
    )
}

/** The selector of a workload: there, valid, and selecting something. */
export function checkWorkloadSelector(
  errors: Errors,
  selector: LabelSelector | undefined,
  kind: string,
): void {
  if (selector === undefined || selector === null) {
    errors.push(required('spec.selector'))
    return
  }
  checkLabelSelector(errors, 'spec.selector', selector)
  if (isEmptySelector(selector))
    errors.push(invalid('spec.selector', selector, `empty selector is invalid for ${kind}`))
}

/** Warnings about the template of a workload. */
export function templateWarnings(path: string, template: PodTemplateSpec | undefined): string[] {
  if (template?.spec === undefined) return []
  const metadata: Partial<ObjectMeta> = template.metadata ?? {}
  return podWarnings(`${path}.spec`, `${path}.metadata`, metadata, template.spec)
}
