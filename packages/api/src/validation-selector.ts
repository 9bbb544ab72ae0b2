import { type FieldError, invalid, type LabelSelector, required } from '@outrigger/kube'

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist']
const qualifiedName = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/
const labelValue = /^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/

/** What is wrong with a selector; an empty one is refused because it would select everything. */
export function selectorErrors(path: string, selector: LabelSelector): FieldError[] {
  const errors: FieldError[] = []
  const labels = Object.entries(selector.matchLabels ?? {})
  if (labels.length === 0 && !selector.matchExpressions?.length)
    errors.push(invalid(path, selector, 'empty selector is not valid for SidecarSet'))
  for (const [key, value] of labels) {
    if (!qualifiedName.test(key)) errors.push(invalid(`${path}.matchLabels`, key, 'must be a label key'))
    if (!labelValue.test(value)) errors.push(invalid(`${path}.matchLabels`, value, 'must be a label value'))
  }
  selector.matchExpressions?.forEach(({ key, operator, values }, i) => {
    const at = `${path}.matchExpressions[${i}]`
    if (!qualifiedName.test(key)) errors.push(invalid(`${at}.key`, key, 'must be a label key'))
    if (!operators.includes(operator))
      errors.push(invalid(`${at}.operator`, operator, `must be one of ${operators.join(', ')}`))
    const wantsValues = operator === 'In' || operator === 'NotIn'
    if (wantsValues && !values?.length)
      errors.push(required(`${at}.values`, 'must be specified when the operator is In or NotIn'))
    if (!wantsValues && values?.length)
      errors.push({
        type: 'forbidden',
        field: `${at}.values`,
        detail: 'may not be specified when the operator is Exists or DoesNotExist',
      })
    for (const value of values ?? [])
      if (!labelValue.test(value)) errors.push(invalid(`${at}.values`, value, 'must be a label value'))
  })
  return errors
}
