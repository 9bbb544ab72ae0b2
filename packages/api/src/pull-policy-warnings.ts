import type { SidecarSet } from './sidecar-set.ts'

/**
 * What the author of an update should know about image pull policies: the default depends on the tag, so a change to
 * `latest`, or away from it, is more than a change of images where no policy is said, and running pods cannot follow.
 * `defaulted` is what `sidecarSet` becomes.
 */
export function pullPolicyWarnings(
  sidecarSet: SidecarSet,
  defaulted: SidecarSet,
  stored: SidecarSet | undefined,
): string[] {
  return (['initContainers', 'containers'] as const).flatMap((list) =>
    (sidecarSet.spec[list] ?? []).flatMap(({ name, imagePullPolicy }) => {
      const named = (of: SidecarSet | undefined) =>
        of?.spec?.[list]?.find((container) => container.name === name)
      const before = named(stored)?.imagePullPolicy
      const after = named(defaulted)?.imagePullPolicy
      if (imagePullPolicy || !before || before === after) return []
      return [
        `container ${name}: with this tag imagePullPolicy becomes ${after}, so running pods cannot take the image in place; say imagePullPolicy: ${before} to roll it out`,
      ]
    }),
  )
}
