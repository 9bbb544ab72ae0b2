import { UserError } from '@outrigger/foundation'
import { authoredPodErrors, destinationOf, InjectionFailure, inAuthoredForm } from '@outrigger/injection'
import { formatFieldError, type KubeObject, type Pod } from '@outrigger/kube'
import {
  explainInjection,
  type InjectionExplanation,
  type InjectionSettings,
} from '../explanation/injection-explanation.ts'
import { type Manifest, placeOf, titleOf } from './manifest-files.ts'
import { podAt, podPathOf, podShapeProblem, withPodAt } from './pod-template.ts'

/** What became of one manifest. */
export interface InjectedManifest {
  readonly manifest: Manifest
  /** The very object of the manifest when nothing changed. */
  readonly object: KubeObject
  /** Absent for objects that make no pods. */
  readonly explanation?: InjectionExplanation
}

export interface ManifestInjectionSettings extends InjectionSettings {
  /** For objects that name no namespace. */
  readonly namespace: string
  /** Leaves out what only a manager may write, so that the result may be submitted where one runs. */
  readonly isForManager: boolean
}

/**
 * Injects every pod and pod template among manifests; all else stays as it is.
 *
 * @throws UserError naming the place of the first pod that cannot be injected.
 */
export function injectManifests(
  manifests: readonly Manifest[],
  settings: ManifestInjectionSettings,
): InjectedManifest[] {
  return manifests.map((manifest) => {
    const { object } = manifest
    const path = podPathOf(object)
    if (path === undefined) return { manifest, object }
    const pod = podAt(object, path, settings.namespace)
    const root = path.length === 0 ? '' : `${path.join('.')}: `
    const fail = (problem: string, remedy?: string): never => {
      throw new UserError(`${placeOf(manifest)}: ${titleOf(object)}: ${root}${problem}`, remedy)
    }
    refuseWhatAdmissionRefuses(pod, settings, fail)
    try {
      const injected = explainInjection(pod, settings)
      const result = settings.isForManager ? inAuthoredForm(injected.pod) : injected.pod
      return {
        manifest,
        object: differs(pod, result) ? withPodAt(object, path, result) : object,
        explanation: injected.explanation,
      }
    } catch (error) {
      if (error instanceof InjectionFailure)
        fail(`cannot be injected: ${error.message}`, offlineRemedy(error))
      throw error
    }
  })
}

/** Only a cluster records revisions. */
function offlineRemedy({ message }: InjectionFailure): string | undefined {
  return message.endsWith('is not recorded')
    ? 'without a cluster nothing is: leave injectionStrategy.revision and the annotation outrigger.dev/tracks out of what you preview'
    : undefined
}

function refuseWhatAdmissionRefuses(
  pod: Pod,
  { picture, comesToVirtualNode }: ManifestInjectionSettings,
  fail: (problem: string, remedy?: string) => never,
): void {
  const problem = podShapeProblem(pod)
  if (problem !== undefined) fail(problem, 'the API server would refuse it too; mend the manifest')
  const { isCertain } = destinationOf(pod, {
    namespace: picture.namespace(pod.metadata.namespace ?? 'default'),
    isVirtualNode: picture.isVirtualNode,
  })
  const [first] = authoredPodErrors(pod, { goesToVirtualNode: isCertain || comesToVirtualNode })
  if (first !== undefined) fail(formatFieldError(first))
}

function differs(before: Pod, after: Pod): boolean {
  return (
    before.metadata.labels !== after.metadata.labels ||
    before.metadata.annotations !== after.metadata.annotations ||
    Object.entries(after.spec).some(([key, value]) => before.spec[key as keyof Pod['spec']] !== value)
  )
}
