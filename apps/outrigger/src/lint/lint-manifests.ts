import {
  annotationWarnings,
  bindingErrors,
  foreignReferencesOf,
  isReferenceGranted,
  type SidecarSet,
  type SidecarSetResourceBinding,
  sidecarSetAnnotations,
  sidecarSetErrors,
  sidecarSetLabels,
  sidecarSetShapeErrors,
  virtualNodeNames,
  withTodaysSpelling,
} from '@outrigger/api'
import { authoredPodErrors, destinationOf } from '@outrigger/injection'
import {
  builtinSchema,
  type FieldError,
  fieldErrorBody,
  findUnknownFields,
  type PodSpec,
} from '@outrigger/kube'
import { isForVirtualNodes } from '../explanation/failure-policy.ts'
import {
  type ClusterPicture,
  isBinding,
  isNamespace,
  isNode,
  isSidecarSet,
  pictureOf,
  storedSidecarSet,
} from '../manifests/cluster-picture.ts'
import { definitionProblems } from '../manifests/definition-problems.ts'
import { type Manifest, placeOf } from '../manifests/manifest-files.ts'
import { podAt, podPathOf, podShapeProblem } from '../manifests/pod-template.ts'
import { type Finding, findingAt } from './finding.ts'

/** Checks SidecarSets, bindings, pods and pod templates with the rules of admission; in the order of the manifests and of their lines. */
export function lintManifests(manifests: readonly Manifest[], namespace = 'default'): Finding[] {
  const sets = readSets(manifests)
  // SidecarSets are judged one by one; here they might be wrong.
  const picture = pictureOf(manifests.filter((manifest) => isNamespace(manifest) || isNode(manifest)))
  const bindings = manifests.filter(isBinding).filter((manifest) => shapeFindings(manifest).every(isWarning))
  return manifests.flatMap((manifest) => {
    if (!hasName(manifest)) return [findingAt(manifest, 'error', 'metadata.name', 'Required value')]
    return findingsOf(manifest).sort((left, right) => left.line - right.line)
  })

  function findingsOf(manifest: Manifest): Finding[] {
    if (isSidecarSet(manifest)) return sidecarSetFindings(manifest, sets, bindings)
    if (isBinding(manifest)) return bindingFindings(manifest, sets)
    return [...namespaceFindings(manifest), ...podFindings(manifest, namespace, picture)]
  }
}

const hasName = ({ object }: Manifest) =>
  Boolean(object.metadata.name || (object.kind !== 'SidecarSet' && object.metadata.generateName))
const isWarning = ({ severity }: Finding) => severity === 'warning'

/** The SidecarSets that can be read at all, as admission would store them. */
function readSets(manifests: readonly Manifest[]): ReadonlyMap<Manifest, SidecarSet> {
  const sets = new Map<Manifest, SidecarSet>()
  for (const manifest of manifests.filter(isSidecarSet)) {
    if (!hasName(manifest)) continue
    if (!shapeFindings(manifest).every(isWarning) || sidecarSetShapeErrors(manifest.object).length > 0)
      continue
    sets.set(manifest, storedSidecarSet(manifest))
  }
  return sets
}

/** What the resource's own schema has against a SidecarSet or a binding. */
function shapeFindings(manifest: Manifest): Finding[] {
  return definitionProblems(manifest.object).map(({ field, kind, message }) =>
    findingAt(manifest, kind === 'unknown field' ? 'warning' : 'error', field, message),
  )
}

function errorFindings(manifest: Manifest, errors: readonly FieldError[], root = ''): Finding[] {
  return errors.map((error) => findingAt(manifest, 'error', `${root}${error.field}`, fieldErrorBody(error)))
}

function sidecarSetFindings(
  manifest: Manifest,
  sets: ReadonlyMap<Manifest, SidecarSet>,
  bindings: readonly Manifest[],
): Finding[] {
  const findings = shapeFindings(manifest)
  const sidecarSet = sets.get(manifest)
  if (sidecarSet === undefined) {
    if (!findings.every(isWarning)) return findings
    return [...findings, ...errorFindings(manifest, sidecarSetShapeErrors(manifest.object))]
  }
  const { name } = sidecarSet.metadata
  const twin = [...sets].find(([other, { metadata }]) => metadata.name === name && other !== manifest)?.[0]
  if (twin !== undefined)
    findings.push(
      findingAt(
        manifest,
        'error',
        'metadata.name',
        `${name} stands at ${placeOf(twin)} too; keep one of the two`,
      ),
    )
  return [
    ...findings,
    ...errorFindings(manifest, sidecarSetErrors(sidecarSet, { others: [...sets.values()] })),
    ...containerFindings(manifest, sidecarSet),
    ...legacySidecarSetFindings(manifest),
    ...annotationFindings(manifest, sidecarSet),
    ...grantFindings(manifest, sidecarSet, bindings),
  ]
}

/** Fields of containers and volumes that Kubernetes does not know; the resource's schema leaves those open. */
function containerFindings(manifest: Manifest, { spec }: SidecarSet): Finding[] {
  const ours = [
    'podInjectPolicy',
    'upgradeStrategy',
    'shareVolumePolicy',
    'shareVolumeDevicePolicy',
    'transferEnv',
    'resourcesPolicy',
  ]
  const fields = [
    ...(['initContainers', 'containers'] as const).flatMap((list) =>
      (spec[list] ?? []).flatMap((container, i) =>
        findUnknownFields(container, builtinSchema('io.k8s.api.core.v1.Container'))
          .filter((field) => !ours.includes(field))
          .map((field) => `spec.${list}[${i}].${field}`),
      ),
    ),
    ...(spec.volumes ?? []).flatMap((volume, i) =>
      findUnknownFields(volume, builtinSchema('io.k8s.api.core.v1.Volume')).map(
        (field) => `spec.volumes[${i}].${field}`,
      ),
    ),
  ]
  return fields.map((field) =>
    findingAt(
      manifest,
      'warning',
      field,
      'Kubernetes 1.36 knows no such field and would drop it; check the spelling',
    ),
  )
}

function legacySidecarSetFindings(manifest: Manifest): Finding[] {
  const { object } = manifest
  const { namespace } = (object as SidecarSet).spec
  const findings = withTodaysSpelling(object as SidecarSet).warnings.map((warning) => {
    const [field = '', ...words] = warning.split(' ')
    return findingAt(manifest, 'warning', field, words.join(' '))
  })
  if (namespace)
    findings.push(
      findingAt(
        manifest,
        'warning',
        'spec.namespace',
        `is the older spelling; write spec.namespaceSelector.matchLabels with kubernetes.io/metadata.name: ${namespace}`,
      ),
    )
  if (object.metadata.labels?.[sidecarSetLabels.customVersion] !== undefined)
    findings.push(
      findingAt(
        manifest,
        'warning',
        `metadata.labels[${sidecarSetLabels.customVersion}]`,
        'is the older spelling; write spec.customVersion in apiVersion apps.kruise.io/v1beta1',
      ),
    )
  return findings
}

function annotationFindings(manifest: Manifest, { metadata, spec }: SidecarSet): Finding[] {
  const warning = (annotation: string, message: string) =>
    findingAt(manifest, 'warning', `metadata.annotations[${annotation}]`, message)
  const findings = annotationWarnings({ metadata }).map(({ annotation, message }) =>
    warning(annotation, message),
  )
  const { failurePolicy, onImageChange, onResourcesChange, onOtherChange, drainBeforeRestart } =
    sidecarSetAnnotations
  if (spec.updateStrategy?.type === 'NotUpdate')
    for (const annotation of [onImageChange, onResourcesChange, onOtherChange, drainBeforeRestart])
      if (metadata.annotations?.[annotation] !== undefined)
        findings.push(
          warning(
            annotation,
            'has no effect: updateStrategy.type NotUpdate changes no running pod; remove one of the two',
          ),
        )
  if (metadata.annotations?.[failurePolicy] === 'Ignore' && isForVirtualNodes(spec))
    findings.push(
      warning(
        failurePolicy,
        'has no effect: virtual nodes start no pod before its sidecars are decided; remove it',
      ),
    )
  return findings
}

/** References that no binding among the manifests allows: pods would wait for one. */
function grantFindings(
  manifest: Manifest,
  { metadata, spec }: SidecarSet,
  bindings: readonly Manifest[],
): Finding[] {
  const podSpec: PodSpec = {
    containers: spec.containers ?? [],
    initContainers: spec.initContainers ?? [],
    volumes: spec.volumes ?? [],
  }
  const known = bindings.map(({ object }) => object as SidecarSetResourceBinding)
  return foreignReferencesOf({ spec: podSpec }).flatMap(({ field, kind, namespace, name }) => {
    if (kind === undefined) return []
    if (isReferenceGranted({ sidecarSet: metadata.name, kind, namespace, name }, known)) return []
    return [
      findingAt(
        manifest,
        'warning',
        field,
        `no SidecarSetResourceBinding here grants ${kind} ${namespace}/${name}, so pods of other namespaces would wait; create one in namespace ${namespace} with subject SidecarSet ${metadata.name} and resourceRef ${kind} ${name}`,
      ),
    ]
  })
}

function bindingFindings(manifest: Manifest, sets: ReadonlyMap<Manifest, SidecarSet>): Finding[] {
  const findings = shapeFindings(manifest)
  if (!findings.every(isWarning)) return findings
  const binding = manifest.object as SidecarSetResourceBinding
  const errors = bindingErrors(binding)
  if (errors.length > 0) return [...findings, ...errorFindings(manifest, errors)]
  const names = new Set([...sets.values()].map(({ metadata }) => metadata.name))
  if (names.size === 0) return findings
  binding.spec.subjects.forEach(({ name }, i) => {
    if (!names.has(name))
      findings.push(
        findingAt(
          manifest,
          'warning',
          `spec.subjects[${i}].name`,
          `there is no SidecarSet ${name} here; check the name`,
        ),
      )
  })
  return findings
}

function namespaceFindings(manifest: Manifest): Finding[] {
  const { legacyNamespaceLabel, eciLabel } = virtualNodeNames
  if (!isNamespace(manifest) || manifest.object.metadata.labels?.[legacyNamespaceLabel] === undefined)
    return []
  return [
    findingAt(
      manifest,
      'warning',
      `metadata.labels[${legacyNamespaceLabel}]`,
      `is the older spelling; write ${eciLabel}: "true"`,
    ),
  ]
}

function podFindings(manifest: Manifest, namespace: string, picture: ClusterPicture): Finding[] {
  const path = podPathOf(manifest.object)
  if (path === undefined) return []
  const pod = podAt(manifest.object, path, namespace)
  const root = path.length === 0 ? '' : `${path.join('.')}.`
  const problem = podShapeProblem(pod)
  if (problem !== undefined) return [findingAt(manifest, 'error', path.join('.'), problem)]
  const { isCertain } = destinationOf(pod, {
    namespace: picture.namespace(pod.metadata.namespace ?? 'default'),
    isVirtualNode: picture.isVirtualNode,
  })
  const findings = errorFindings(manifest, authoredPodErrors(pod, { goesToVirtualNode: isCertain }), root)
  const { legacyPodLabel, eciLabel } = virtualNodeNames
  if (pod.metadata.labels?.[legacyPodLabel] !== undefined)
    findings.push(
      findingAt(
        manifest,
        'warning',
        `${root}metadata.labels[${legacyPodLabel}]`,
        `is the older spelling; write ${eciLabel}: "true"`,
      ),
    )
  const { generateName: _, ...metadata } = pod.metadata
  for (const field of findUnknownFields({ ...pod, metadata }, builtinSchema('io.k8s.api.core.v1.Pod')))
    findings.push(
      findingAt(
        manifest,
        'warning',
        `${root}${field}`,
        'Kubernetes 1.36 knows no such field and would drop it; check the spelling',
      ),
    )
  return findings
}
