import {
  bindingErrors,
  convertSidecarSet,
  defaultSidecarSet,
  type SidecarSet,
  type SidecarSetResourceBinding,
  sidecarSetErrors,
  sidecarSetShapeErrors,
  withTodaysSpelling,
} from '@outrigger/api'
import { UserError } from '@outrigger/foundation'
import { type NamespaceFacts, SidecarSetIndex } from '@outrigger/injection'
import {
  type FieldError,
  formatFieldError,
  invalid,
  type Namespace,
  type Node,
  required,
} from '@outrigger/kube'
import { definitionProblems } from './definition-problems.ts'
import { type Manifest, placeOf } from './manifest-files.ts'

/** What manifests say about the cluster that pods would come to. */
export interface ClusterPicture {
  readonly sidecarSets: SidecarSetIndex
  readonly bindings: readonly SidecarSetResourceBinding[]
  /** Facts of a namespace; of one that no manifest describes only its name is known. */
  namespace(name: string): NamespaceFacts
  isVirtualNode(nodeName: string): boolean
  /** Whether the API server resizes pods in place. Left out: not known, and taken for granted. */
  readonly canResizePods?: boolean
}

const group = 'apps.kruise.io/'

export const isSidecarSet = ({ object }: Manifest) =>
  object.kind === 'SidecarSet' && object.apiVersion.startsWith(group)
export const isBinding = ({ object }: Manifest) =>
  object.kind === 'SidecarSetResourceBinding' && object.apiVersion.startsWith('sidecarset.alibabacloud.com/')
const isCore =
  (kind: string) =>
  ({ object }: Manifest) =>
    object.kind === kind && object.apiVersion === 'v1'
export const isNamespace = isCore('Namespace')
export const isNode = isCore('Node')

/**
 * Puts SidecarSets, bindings, namespaces and nodes together, the SidecarSets as admission would store them.
 *
 * @throws UserError for a SidecarSet that admission would refuse.
 */
export function pictureOf(manifests: readonly Manifest[]): ClusterPicture {
  const sources = manifests.filter(isSidecarSet)
  const sets = sources.map((manifest) => ({ manifest, sidecarSet: storedSidecarSet(manifest) }))
  const others = sets.map(({ sidecarSet }) => sidecarSet)
  const seen = new Map<string, Manifest>()
  for (const { manifest, sidecarSet } of sets) {
    const { name } = sidecarSet.metadata
    const before = seen.get(name)
    if (before !== undefined)
      throw new UserError(
        `${placeOf(manifest)}: SidecarSet ${name} stands at ${placeOf(before)} already`,
        'keep one of the two',
      )
    seen.set(name, manifest)
    throwFirst(manifest, sidecarSetErrors(sidecarSet, { others }))
  }
  const namespaces = new Map(
    manifests.filter(isNamespace).map(({ object }) => [object.metadata.name, object as Namespace]),
  )
  const virtualNodes = new Set(
    manifests
      .filter(isNode)
      .map(({ object }) => object as Node)
      .filter(({ metadata }) => metadata.labels?.['type'] === 'virtual-kubelet')
      .map(({ metadata }) => metadata.name),
  )
  return {
    sidecarSets: new SidecarSetIndex(others),
    bindings: manifests
      .filter(isBinding)
      .filter(({ object }) => definitionProblems(object).every(({ kind }) => kind === 'unknown field'))
      .map(({ object }) => object as SidecarSetResourceBinding)
      .filter((binding) => bindingErrors(binding).length === 0),
    namespace: (name) => ({
      name,
      labels: { 'kubernetes.io/metadata.name': name, ...namespaces.get(name)?.metadata.labels },
    }),
    isVirtualNode: (name) => virtualNodes.has(name),
  }
}

/** A SidecarSet as admission stores it, in the version the manager reads. @throws UserError */
export function storedSidecarSet(manifest: Manifest): SidecarSet {
  if (!manifest.object.metadata.name) throwFirst(manifest, [required('metadata.name')])
  const problems = definitionProblems(manifest.object).filter(({ kind }) => kind === 'wrong type')
  throwFirst(
    manifest,
    problems.map(({ field, message }) => invalid(field, undefined, message)),
  )
  throwFirst(manifest, sidecarSetShapeErrors(manifest.object))
  const { sidecarSet } = withTodaysSpelling(manifest.object as SidecarSet)
  return defaultSidecarSet(convertSidecarSet(sidecarSet, `${group}v1alpha1`) as SidecarSet)
}

function throwFirst(manifest: Manifest, errors: readonly FieldError[]): void {
  const [first] = errors
  if (first === undefined) return
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  throw new UserError(
    `${placeOf(manifest)}: SidecarSet ${manifest.object.metadata.name}: ${formatFieldError(first)}${more}`,
    'outrigger lint lists everything',
  )
}
