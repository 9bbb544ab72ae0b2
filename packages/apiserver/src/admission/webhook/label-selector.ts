import { compileLabelSelector, type LabelSelector } from '@outrigger/kube'

/** Decides about labels. Made once from a selector and asked often. */
export type LabelTest = (labels: Readonly<Record<string, string>> | undefined) => boolean

/**
 * A selector as a function; undefined when it lets everything through, so that callers can skip look-ups. No
 * selector lets everything through here. One that cannot be used selects nothing.
 */
export function createLabelTest(selector: LabelSelector | undefined | null): LabelTest | undefined {
  if (selector === undefined || selector === null) return undefined
  try {
    const matcher = compileLabelSelector(selector)
    return matcher.isEverything ? undefined : (labels) => matcher.matches(labels)
  } catch {
    return () => false
  }
}
