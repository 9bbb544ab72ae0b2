import type { SidecarContainer, SidecarSetSpec } from './sidecar-set.ts'
import { sourceFieldProblem } from './source-field.ts'

/**
 * What becomes of words nobody knows that OpenKruise accepts all the same. They stay accepted, so that no manifest
 * that works is refused. Each sentence begins with the field.
 */
export function unknownWordWarnings(spec: SidecarSetSpec): string[] {
  const warnings: string[] = []
  const look = (field: string, word: string | undefined, effect: string, known: readonly string[]) => {
    if (!word || known.includes(word)) return
    warnings.push(`${field} knows no ${JSON.stringify(word)}, which ${effect}; use ${listed(known)}`)
  }
  look(
    'spec.updateStrategy.type',
    spec.updateStrategy?.type,
    'counts as RollingUpdate with settings that nobody has checked',
    ['RollingUpdate', 'NotUpdate'],
  )
  for (const list of ['initContainers', 'containers'] as const)
    spec[list]?.forEach((sidecar, i) => {
      lookAtContainer(`spec.${list}[${i}]`, sidecar, list, look)
    })
  spec.patchPodMetadata?.forEach(({ patchPolicy }, i) => {
    look(`spec.patchPodMetadata[${i}].patchPolicy`, patchPolicy, 'patches nothing', [
      'Retain',
      'Overwrite',
      'MergePatchJson',
    ])
  })
  spec.initContainers?.forEach(({ transferEnv }, i) => {
    transferEnv?.forEach(({ sourceContainerNameFrom }, j) => {
      const path = sourceContainerNameFrom?.fieldRef?.fieldPath
      const problem = path ? sourceFieldProblem(path) : undefined
      if (problem !== undefined)
        warnings.push(
          `spec.initContainers[${i}].transferEnv[${j}].sourceContainerNameFrom.fieldRef.fieldPath is ${JSON.stringify(path)}, from which nothing is transferred: it ${problem}`,
        )
    })
  })
  return warnings
}

type Look = (field: string, word: string | undefined, effect: string, known: readonly string[]) => void

function lookAtContainer(at: string, sidecar: SidecarContainer, list: string, look: Look): void {
  const { upgradeStrategy, shareVolumeDevicePolicy, shareVolumePolicy, podInjectPolicy } = sidecar
  const sharing = ['enabled', 'disabled']
  look(`${at}.upgradeStrategy.upgradeType`, upgradeStrategy?.upgradeType, 'counts as ColdUpgrade', [
    'ColdUpgrade',
    'HotUpgrade',
  ])
  look(`${at}.shareVolumeDevicePolicy.type`, shareVolumeDevicePolicy?.type, 'counts as disabled', sharing)
  // Among containers these two are refused.
  if (list === 'containers') return
  look(`${at}.shareVolumePolicy.type`, shareVolumePolicy?.type, 'counts as disabled', sharing)
  look(`${at}.podInjectPolicy`, podInjectPolicy, 'counts as AfterAppContainer', [
    'BeforeAppContainer',
    'AfterAppContainer',
  ])
}

function listed(words: readonly string[]): string {
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}
