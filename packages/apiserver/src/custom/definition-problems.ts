import {
  type CustomResourceDefinition,
  type CustomResourceDefinitionNames,
  type CustomResourceDefinitionVersion,
  deepEqual,
  type FieldError,
  forbidden,
  invalid,
  type JSONSchemaProps,
  required,
  unsupported,
} from '@outrigger/kube'
import { parseJsonPath, simpleFields } from './json-path.ts'
import { schemaProblems } from './schema-problems.ts'

const label = /^[a-z]([-a-z0-9]*[a-z0-9])?$/
const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const labelText =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
const subdomainText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

/** Everything that is wrong with a definition, in the order and the words of kube-apiserver. */
export function definitionProblems(definition: CustomResourceDefinition): readonly FieldError[] {
  const { spec, metadata } = definition
  const errors: FieldError[] = []
  const expected = `${spec.names?.plural}.${spec.group}`
  if (metadata.name !== expected)
    errors.push(invalid('metadata.name', metadata.name, 'must be spec.names.plural+"."+spec.group'))
  errors.push(...groupProblems(spec.group), ...approvalProblems(definition))
  if (spec.scope !== 'Cluster' && spec.scope !== 'Namespaced')
    errors.push(
      spec.scope ? unsupported('spec.scope', spec.scope, ['Cluster', 'Namespaced']) : required('spec.scope'),
    )
  errors.push(...versionProblems(definition))
  if (spec.preserveUnknownFields === true)
    errors.push(
      invalid(
        'spec.preserveUnknownFields',
        true,
        'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead',
      ),
    )
  errors.push(...nameProblems(spec.names ?? { plural: '', kind: '' }), ...conversionProblems(definition))
  errors.push(...storedVersionProblems(definition))
  return errors
}

function groupProblems(group: string | undefined): readonly FieldError[] {
  if (!group) return [required('spec.group')]
  if (!subdomain.test(group) || group.length > 253) return [invalid('spec.group', group, subdomainText)]
  return group.includes('.') ? [] : [invalid('spec.group', group, 'should be a domain with at least one dot')]
}

const approval = 'api-approved.kubernetes.io'

/** Groups of Kubernetes itself are not for everybody. */
function approvalProblems({ spec, metadata }: CustomResourceDefinition): readonly FieldError[] {
  if (!/(^|\.)(k8s|kubernetes)\.io$/.test(spec.group ?? '')) return []
  const field = `metadata.annotations[${approval}]`
  const see = 'see https://github.com/kubernetes/enhancements/pull/1111'
  const value = metadata.annotations?.[approval]
  if (value === undefined || value === '')
    return [required(field, `protected groups must have approval annotation "${approval}", ${see}`)]
  if (value.startsWith('unapproved') || URL.canParse(value)) return []
  return [
    invalid(
      field,
      value,
      `protected groups must have approval annotation "${approval}" with either a URL or a reason starting with "unapproved", ${see}`,
    ),
  ]
}

function versionProblems({ spec }: CustomResourceDefinition): readonly FieldError[] {
  const errors: FieldError[] = []
  const versions = spec.versions ?? []
  if (versions.length === 0) errors.push(required('spec.versions', 'must have at least one version'))
  const seen = new Set<string>()
  const shared = sharedParts(versions)
  versions.forEach((version, index) => {
    const path = `spec.versions[${index}]`
    if (!label.test(version.name ?? '')) errors.push(invalid(`${path}.name`, version.name, labelText))
    if (seen.has(version.name))
      errors.push(invalid('spec.versions', showVersions(versions), 'must contain unique version names'))
    seen.add(version.name)
    if (version.deprecationWarning !== undefined && version.deprecated !== true)
      errors.push(
        invalid(
          `${path}.deprecationWarning`,
          version.deprecationWarning,
          'can only be set for deprecated versions',
        ),
      )
  })
  const storing = versions.filter(({ storage }) => storage)
  if (versions.length > 0 && storing.length !== 1)
    errors.push(
      invalid(
        'spec.versions',
        showVersions(versions),
        'must have exactly one version marked as storage version',
      ),
    )
  const first = versions[0]
  // Kubernetes keeps the first version a second time, under its old name.
  if (first !== undefined && !label.test(first.name ?? ''))
    errors.push(invalid('spec.version', first.name, labelText))
  versions.forEach((version, index) => {
    const schema = version.schema?.openAPIV3Schema
    const path = `spec.versions[${index}]`
    if (schema === undefined) errors.push(required(`${path}.schema.openAPIV3Schema`))
    else if (!shared.schema) errors.push(...schemaProblems(schema, `${path}.schema.openAPIV3Schema`))
    else if (index === 0) errors.push(...schemaProblems(schema, 'spec.validation.openAPIV3Schema'))
    if (!shared.subresources || index === 0)
      errors.push(
        ...scaleProblems(version, shared.subresources ? 'spec.subresources' : `${path}.subresources`),
      )
    if (!shared.columns || index === 0)
      errors.push(
        ...columnProblems(
          version,
          shared.columns ? 'spec.additionalPrinterColumns' : `${path}.additionalPrinterColumns`,
        ),
      )
    errors.push(...selectableProblems(version, `${path}.selectableFields`))
  })
  return errors
}

/** Parts that all versions have in common are reported at the place where Kubernetes keeps them internally. */
function sharedParts(versions: readonly CustomResourceDefinitionVersion[]) {
  const [first] = versions
  const same = (part: (version: CustomResourceDefinitionVersion) => unknown) =>
    first !== undefined && versions.every((version) => deepEqual(part(version), part(first)))
  return {
    schema: same(({ schema }) => schema),
    subresources: same(({ subresources }) => subresources),
    columns: same(({ additionalPrinterColumns }) => additionalPrinterColumns),
  }
}

function showVersions(versions: readonly CustomResourceDefinitionVersion[]): readonly unknown[] {
  const shared = sharedParts(versions)
  return versions.map((version) => ({
    Name: version.name,
    Served: version.served,
    Storage: version.storage,
    Deprecated: version.deprecated ?? false,
    DeprecationWarning: version.deprecationWarning ?? null,
    Schema: shared.schema ? null : (version.schema ?? null),
    Subresources: shared.subresources ? null : (version.subresources ?? null),
    AdditionalPrinterColumns: shared.columns ? null : (version.additionalPrinterColumns ?? null),
    SelectableFields: version.selectableFields ?? null,
  }))
}

function scaleProblems(
  { subresources }: CustomResourceDefinitionVersion,
  field: string,
): readonly FieldError[] {
  const scale = subresources?.scale
  if (scale === undefined) return []
  const errors: FieldError[] = []
  const check = (
    name: 'specReplicasPath' | 'statusReplicasPath' | 'labelSelectorPath',
    prefixes: readonly string[],
  ) => {
    const path = scale[name]
    if (!path) {
      if (name !== 'labelSelectorPath') errors.push(required(`${field}.scale.${name}`))
      return
    }
    if (simpleFields(path) === undefined)
      errors.push(
        invalid(
          `${field}.scale.${name}`,
          path,
          'should be a json path without array notation, only dot notation',
        ),
      )
    else if (!prefixes.some((prefix) => path.startsWith(prefix)))
      errors.push(
        invalid(
          `${field}.scale.${name}`,
          path,
          `should be a json path under ${prefixes.map((prefix) => prefix.slice(0, -1)).join(' or ')}`,
        ),
      )
  }
  check('specReplicasPath', ['.spec.'])
  check('statusReplicasPath', ['.status.'])
  check('labelSelectorPath', ['.spec.', '.status.'])
  return errors
}

function columnProblems(
  { additionalPrinterColumns }: CustomResourceDefinitionVersion,
  field: string,
): readonly FieldError[] {
  const types = ['boolean', 'date', 'integer', 'number', 'string']
  return (additionalPrinterColumns ?? []).flatMap((column, index) => {
    const path = `${field}[${index}]`
    const errors: FieldError[] = []
    if (!column.name) errors.push(required(`${path}.name`))
    if (!column.type) errors.push(required(`${path}.type`, `must be one of ${types.join(',')}`))
    else if (!types.includes(column.type))
      errors.push(invalid(`${path}.type`, column.type, `must be one of ${types.join(',')}`))
    if (!column.jsonPath) errors.push(required(`${path}.JSONPath`))
    else
      try {
        parseJsonPath(column.jsonPath)
      } catch (error) {
        errors.push(
          invalid(`${path}.JSONPath`, column.jsonPath, `is an invalid path: ${(error as Error).message}`),
        )
      }
    return errors
  })
}

function selectableProblems(
  { selectableFields, schema }: CustomResourceDefinitionVersion,
  field: string,
): readonly FieldError[] {
  if ((selectableFields ?? []).length > 8)
    return [{ type: 'too-many', field, value: selectableFields?.length, detail: 'must have at most 8 items' }]
  const seen = new Set<string>()
  return (selectableFields ?? []).flatMap(({ jsonPath }, index) => {
    const path = `${field}[${index}].jsonPath`
    const names = simpleFields(jsonPath ?? '')
    if (!jsonPath) return [required(path)]
    if (seen.has(jsonPath)) return [{ type: 'duplicate', field: path, value: jsonPath, detail: '' } as const]
    seen.add(jsonPath)
    if (names === undefined)
      return [invalid(path, jsonPath, 'is an invalid path: must be a simple path with only dot notation')]
    let node: JSONSchemaProps | undefined = schema?.openAPIV3Schema
    for (const name of names) node = node?.properties?.[name]
    if (node === undefined)
      return [invalid(path, jsonPath, 'is an invalid path: does not refer to a valid field')]
    return ['string', 'integer', 'boolean'].includes(node.type ?? '')
      ? []
      : [
          invalid(
            path,
            jsonPath,
            'must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.',
          ),
        ]
  })
}

function nameProblems(names: CustomResourceDefinitionNames): readonly FieldError[] {
  const errors: FieldError[] = []
  const check = (field: string, value: string | undefined) => {
    if (value && (!label.test(value) || value.length > 63))
      errors.push(invalid(`spec.names.${field}`, value, labelText))
  }
  const checkMixed = (field: string, value: string | undefined) => {
    if (value && (!label.test(value.toLowerCase()) || value.length > 63))
      errors.push(
        invalid(
          `spec.names.${field}`,
          value,
          `may have mixed case, but should otherwise match: ${labelText}`,
        ),
      )
  }
  if (!names.plural) errors.push(required('spec.names.plural'))
  if (!names.singular) errors.push(required('spec.names.singular'))
  if (!names.kind) errors.push(required('spec.names.kind'))
  if (!names.listKind) errors.push(required('spec.names.listKind'))
  check('plural', names.plural)
  check('singular', names.singular)
  checkMixed('kind', names.kind)
  checkMixed('listKind', names.listKind)
  names.shortNames?.forEach((name, index) => {
    check(`shortNames[${index}]`, name)
  })
  if (names.kind && names.kind === names.listKind)
    errors.push(invalid('spec.names.listKind', names.listKind, 'kind and listKind may not be the same'))
  names.categories?.forEach((name, index) => {
    check(`categories[${index}]`, name)
  })
  return errors
}

function conversionProblems({ spec }: CustomResourceDefinition): readonly FieldError[] {
  const { conversion } = spec
  const field = 'spec.conversion'
  if (conversion === undefined) return []
  if (conversion.strategy !== 'None' && conversion.strategy !== 'Webhook')
    return [
      conversion.strategy
        ? unsupported(`${field}.strategy`, conversion.strategy, ['None', 'Webhook'])
        : required(`${field}.strategy`),
    ]
  if (conversion.strategy === 'None')
    return conversion.webhook === undefined
      ? []
      : [forbidden(`${field}.webhook`, 'should not be set when strategy is not set to Webhook')]
  const config = conversion.webhook?.clientConfig
  if (config === undefined)
    return [required(`${field}.webhookClientConfig`, 'required when strategy is set to Webhook')]
  const errors: FieldError[] = []
  const hasUrl = Boolean(config.url)
  if (hasUrl === (config.service !== undefined))
    errors.push(required(`${field}.webhookClientConfig`, 'exactly one of url or service is required'))
  else if (hasUrl && !/^https:\/\//.test(config.url ?? ''))
    errors.push(
      invalid(
        `${field}.webhookClientConfig.url`,
        config.url,
        "'https' is the only allowed URL scheme; desired format: https://host[/path]",
      ),
    )
  const versions = conversion.webhook?.conversionReviewVersions ?? []
  if (versions.length === 0) errors.push(required(`${field}.conversionReviewVersions`))
  else if (!versions.includes('v1') && !versions.includes('v1beta1'))
    errors.push(
      invalid(`${field}.conversionReviewVersions`, versions, 'must include at least one of v1, v1beta1'),
    )
  return errors
}

function storedVersionProblems({ spec, status }: CustomResourceDefinition): readonly FieldError[] {
  const stored = status?.storedVersions ?? []
  const errors: FieldError[] = []
  if (stored.length === 0)
    errors.push(invalid('status.storedVersions', stored, 'must have at least one stored version'))
  const storage = (spec.versions ?? []).filter((version) => version.storage).at(-1)?.name
  if (storage !== undefined && stored.length > 0 && !stored.includes(storage))
    errors.push(invalid('status.storedVersions', stored, `must have the storage version ${storage}`))
  stored.forEach((name, index) => {
    if (!(spec.versions ?? []).some((version) => version.name === name))
      errors.push(
        invalid(
          `status.storedVersions[${index}]`,
          name,
          `missing from spec.versions; ${name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in ${name} and removes ${name} from status.storedVersions`,
        ),
      )
  })
  return errors
}

/** What an update may not change once the names were accepted. */
export function definitionUpdateProblems(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition,
): readonly FieldError[] {
  const errors: FieldError[] = []
  const isEstablished = old.status?.conditions?.some(
    ({ type, status }) => type === 'Established' && status === 'True',
  )
  const compare = (field: string, value: unknown, before: unknown) => {
    if (!deepEqual(value, before)) errors.push(invalid(field, value, 'field is immutable'))
  }
  if (isEstablished === true) {
    compare('spec.scope', definition.spec.scope, old.spec.scope)
    compare('spec.names.kind', definition.spec.names.kind, old.spec.names.kind)
  }
  compare('spec.group', definition.spec.group, old.spec.group)
  compare('spec.names.plural', definition.spec.names.plural, old.spec.names.plural)
  return errors
}
