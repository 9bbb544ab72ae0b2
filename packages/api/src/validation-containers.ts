import {
  compareQuantities,
  duplicate,
  type FieldError,
  invalid,
  parseQuantity,
  required,
} from '@outrigger/kube'
import { isNativeSidecar, type SidecarContainer, type SidecarSetSpec } from './sidecar-set.ts'
import { containerShapeErrors, volumeSourceErrors } from './validation-core.ts'
import { resourcesPolicyErrors } from './validation-resources-policy.ts'

const isQuantity = (value: string | number) => parseQuantity(value) !== undefined
const dnsLabel = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

/** What is wrong with the containers and volumes: placement, sharing, transfer, and what would make every pod invalid. */
export function containerErrors(spec: SidecarSetSpec): FieldError[] {
  const errors: FieldError[] = []
  const volumes = new Set<string>()
  spec.volumes?.forEach((volume, i) => {
    errors.push(...nameErrors(`spec.volumes[${i}].name`, volume.name, volumes))
    errors.push(...volumeSourceErrors(`spec.volumes[${i}]`, volume))
  })
  const names = new Set<string>()
  for (const list of ['initContainers', 'containers'] as const) {
    spec[list]?.forEach((container, i) => {
      const path = `spec.${list}[${i}]`
      errors.push(...nameErrors(`${path}.name`, container.name, names))
      errors.push(...coreErrors(path, container, volumes), ...containerShapeErrors(path, container))
      errors.push(...resourcesPolicyErrors(path, container, list))
      if (list === 'containers') errors.push(...placementErrors(container))
      container.transferEnv?.forEach((transfer, j) => {
        errors.push(...transferErrors(`${path}.transferEnv[${j}]`, transfer))
      })
    })
  }
  return errors
}

function nameErrors(field: string, name: string | undefined, seen: Set<string>): FieldError[] {
  if (!name) return [required(field)]
  if (name.length > 63 || !dnsLabel.test(name))
    return [invalid(field, name, 'must be a lowercase DNS label of at most 63 characters')]
  if (seen.has(name)) return [duplicate(field, name)]
  seen.add(name)
  return []
}

function coreErrors(path: string, container: SidecarContainer, volumes: ReadonlySet<string>): FieldError[] {
  const errors: FieldError[] = []
  if (!container.image) errors.push(required(`${path}.image`))
  const paths = new Set<string>()
  container.volumeMounts?.forEach((mount, i) => {
    const at = `${path}.volumeMounts[${i}]`
    if (!mount.name) errors.push(required(`${at}.name`))
    else if (!volumes.has(mount.name))
      errors.push({ type: 'not-found', field: `${at}.name`, value: mount.name, detail: '' })
    if (!mount.mountPath) errors.push(required(`${at}.mountPath`))
    else if (paths.has(mount.mountPath))
      errors.push(invalid(`${at}.mountPath`, mount.mountPath, 'must be unique'))
    paths.add(mount.mountPath)
  })
  const isPlainInit = path.startsWith('spec.initContainers') && !isNativeSidecar(container)
  for (const probe of ['livenessProbe', 'readinessProbe', 'startupProbe'] as const)
    if (isPlainInit && container[probe])
      errors.push({
        type: 'forbidden',
        field: `${path}.${probe}`,
        detail: 'may not be set for init containers without restartPolicy=Always',
      })
  errors.push(...resourceErrors(path, container))
  return errors
}

function resourceErrors(path: string, { resources }: SidecarContainer): FieldError[] {
  const errors: FieldError[] = []
  for (const side of ['limits', 'requests'] as const) {
    for (const [name, quantity] of Object.entries(resources?.[side] ?? {})) {
      const field = `${path}.resources.${side}[${name}]`
      if (!isQuantity(quantity)) errors.push(invalid(field, quantity, 'must be a quantity'))
      else if (compareQuantities(quantity, 0) < 0)
        errors.push(invalid(field, quantity, 'must be greater than or equal to 0'))
    }
  }
  for (const [name, request] of Object.entries(resources?.requests ?? {})) {
    const limit = resources?.limits?.[name]
    if (
      limit !== undefined &&
      isQuantity(limit) &&
      isQuantity(request) &&
      compareQuantities(request, limit) > 0
    )
      errors.push(
        invalid(
          `${path}.resources.requests`,
          request,
          `must be less than or equal to ${name} limit of ${limit}`,
        ),
      )
  }
  return errors
}

function placementErrors({
  podInjectPolicy,
  shareVolumePolicy,
  upgradeStrategy,
}: SidecarContainer): FieldError[] {
  const errors: FieldError[] = []
  if (podInjectPolicy !== 'BeforeAppContainer' && podInjectPolicy !== 'AfterAppContainer')
    errors.push(
      invalid(
        'spec.container.podInjectPolicy',
        podInjectPolicy,
        'must be BeforeAppContainer or AfterAppContainer',
      ),
    )
  if (shareVolumePolicy?.type !== 'enabled' && shareVolumePolicy?.type !== 'disabled')
    errors.push(
      invalid('spec.container.shareVolumePolicy', shareVolumePolicy?.type, 'must be enabled or disabled'),
    )
  if (upgradeStrategy?.upgradeType === 'HotUpgrade' && !upgradeStrategy.hotUpgradeEmptyImage)
    errors.push(
      required(
        'spec.container.upgradeStrategy.hotUpgradeEmptyImage',
        'needed when upgradeType is HotUpgrade',
      ),
    )
  return errors
}

type Transfer = NonNullable<SidecarContainer['transferEnv']>[number]

function transferErrors(path: string, transfer: Transfer): FieldError[] {
  const from = transfer.sourceContainerNameFrom
  if (!from) return []
  const at = `${path}.sourceContainerNameFrom.fieldRef`
  if (!from.fieldRef) return [required(at)]
  const { apiVersion = 'v1', fieldPath } = from.fieldRef
  if (apiVersion !== 'v1') return [invalid(`${at}.apiVersion`, apiVersion, 'must be v1')]
  if (!fieldPath) return [required(`${at}.fieldPath`)]
  if (fieldPath === 'metadata.name' || /^metadata\.(labels|annotations)\['[^']+'\]$/.test(fieldPath))
    return []
  return [
    invalid(
      `${at}.fieldPath`,
      fieldPath,
      "must be metadata.name, metadata.labels['<key>'] or metadata.annotations['<key>']",
    ),
  ]
}
