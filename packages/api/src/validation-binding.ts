import { duplicate, type FieldError, invalid, required, unsupported } from '@outrigger/kube'
import type { SidecarSetResourceBinding } from './sidecar-set-resource-binding.ts'

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** What is wrong with a binding. Exact names only: a wildcard or a `namespace/name` is refused. */
export function bindingErrors({ spec }: SidecarSetResourceBinding): FieldError[] {
  const errors: FieldError[] = []
  if (!spec?.subjects?.length) errors.push(required('spec.subjects', 'name at least one SidecarSet'))
  if (!spec?.resourceRefs?.length)
    errors.push(required('spec.resourceRefs', 'name at least one ConfigMap or Secret'))
  errors.push(...entryErrors('spec.subjects', spec?.subjects ?? [], ['SidecarSet']))
  errors.push(...entryErrors('spec.resourceRefs', spec?.resourceRefs ?? [], ['ConfigMap', 'Secret']))
  return errors
}

function entryErrors(
  path: string,
  entries: readonly { readonly kind: string; readonly name: string }[],
  kinds: readonly string[],
): FieldError[] {
  const errors: FieldError[] = []
  const seen = new Set<string>()
  entries.forEach(({ kind, name }, i) => {
    if (!kinds.includes(kind)) errors.push(unsupported(`${path}[${i}].kind`, kind, kinds))
    if (!name) errors.push(required(`${path}[${i}].name`))
    else if (name.length > 253 || !subdomain.test(name))
      errors.push(
        invalid(`${path}[${i}].name`, name, 'must be the exact name of an object: no wildcard, no namespace'),
      )
    if (seen.has(`${kind}/${name}`)) errors.push(duplicate(`${path}[${i}]`, `${kind}/${name}`))
    seen.add(`${kind}/${name}`)
  })
  return errors
}
