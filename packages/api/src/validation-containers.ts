import {
  compareQuantities,
  duplicate,
  type FieldError,
  invalid,
  parseQuantity,
  required,
  unsupported,
} from '@outrigger/kube'
import {
  isNativeSidecar,
  podContainerNames,
  type SidecarContainer,
  type SidecarSetSpec,
} from './sidecar-set.ts'
import { sourceFieldProblem } from './source-field.ts'
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
        errors.push(...transferErrors(`${path}.transferEnv[${j}]`, list, transfer))
      })
    })
  }
  return [...errors, ...pairErrors(spec)]
}

/** A hot upgrade makes two containers of one, whose names must be free and fit. */
function pairErrors(spec: SidecarSetSpec): FieldError[] {
  const lists = ['initContainers', 'containers'] as const
  const all = lists.flatMap((list) =>
    (spec[list] ?? []).map((sidecar, i) => ({
      field: `spec.${list}[${i}].name`,
      name: sidecar.name ?? '',
      inPod: podContainerNames(sidecar, list),
    })),
  )
  return all.flatMap(({ field, name, inPod }, i) => {
    if (inPod.length < 2 || name === '') return []
    const pair = inPod.join(' and ')
    if (name.length <= 63 && name.length > 61)
      return [
        invalid(field, name, 'must be no more than 61 characters, because a hot upgrade adds -1 and -2'),
      ]
    const other = all.find(
      (candidate, j) => j !== i && candidate.inPod.some((taken) => inPod.includes(taken)),
    )
    if (other === undefined) return []
    return [
      invalid(
        field,
        name,
        `is upgraded hot and becomes ${pair} in pods, where container ${other.name} would have the same name; rename one of the two`,
      ),
    ]
  })
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
      unsupported('spec.container.podInjectPolicy', podInjectPolicy, [
        'BeforeAppContainer',
        'AfterAppContainer',
      ]),
    )
  if (shareVolumePolicy?.type !== 'enabled' && shareVolumePolicy?.type !== 'disabled')
    errors.push(
      unsupported('spec.container.shareVolumePolicy', shareVolumePolicy?.type, ['enabled', 'disabled']),
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

/** Init containers may name what they like, as in OpenKruise: a source that is none transfers nothing. */
function transferErrors(path: string, list: string, transfer: Transfer): FieldError[] {
  const from = transfer.sourceContainerNameFrom
  if (!from) return []
  const at = `${path}.sourceContainerNameFrom.fieldRef`
  if (!from.fieldRef) return [required(at)]
  if (list === 'initContainers') return []
  const { apiVersion = 'v1', fieldPath } = from.fieldRef
  if (apiVersion !== 'v1') return [unsupported(`${at}.apiVersion`, apiVersion, ['v1'])]
  if (!fieldPath) return [required(`${at}.fieldPath`)]
  const problem = sourceFieldProblem(fieldPath)
  return problem === undefined ? [] : [invalid(`${at}.fieldPath`, fieldPath, problem)]
}
