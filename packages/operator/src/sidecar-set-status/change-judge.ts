import {
  type ChangePolicies,
  type ChangeWay,
  type ContentChange,
  changeBetween,
  changePolicies,
  revisionData,
  type SidecarSet,
  type SidecarSetContent,
  updatesNativeSidecars,
  wayOfChange,
} from '@outrigger/api'
import type { RevisionSource } from '@outrigger/injection'
import type { Pod } from '@outrigger/kube'
import { ownerOf } from '../overflow-replacement/replaceable-owner.ts'
import type { PodTarget } from './pod-target.ts'

/** What is needed to tell what pods should have and what a change takes, besides the SidecarSet. */
export interface ChangeSources {
  /** Recorded contents, for tracks. Left out: none is recorded. */
  readonly history?: RevisionSource
  /** What a revision of a SidecarSet recorded; `undefined` when it is not known. */
  recordedContent(sidecarSet: SidecarSet, revision: string): SidecarSetContent | undefined
  /** Whether the API server resizes pods in place. */
  canResize(): boolean
  /** Whether pods may be evicted for changes. */
  canEvict(): boolean
}

/** How one pod comes to the content it should have. */
export interface PodWay {
  readonly way: ChangeWay
  /** Why it waits, although its SidecarSet wants something else. */
  readonly obstacle?: string
}

const waits: PodWay = { way: 'wait' }

/**
 * Tells for the pods of one SidecarSet what their change takes. Contents are compared once for each pair of them, however
 * many pods have it. Without policies hashes decide, and nothing is compared.
 */
export class ChangeJudge {
  readonly #sidecarSet: SidecarSet
  readonly #sources: ChangeSources | undefined
  readonly #policies: ChangePolicies | undefined
  readonly #options: { readonly updatesNativeSidecars: boolean }
  /** By target, then by the revision that pods carry. */
  readonly #changes = new Map<PodTarget, Map<string, ContentChange>>()
  readonly #unknown = new Set<string>()

  constructor(sidecarSet: SidecarSet, sources: ChangeSources | undefined) {
    this.#sidecarSet = sidecarSet
    this.#sources = sources
    this.#policies = changePolicies(sidecarSet)
    this.#options = { updatesNativeSidecars: updatesNativeSidecars(sidecarSet) }
  }

  /** Whether pods may be made anew for a change. */
  get recreates(): boolean {
    return Object.values(this.#policies ?? {}).includes('Recreate')
  }

  /** Whether a pod carries this revision, and nobody knew what it recorded. */
  lacks(revision: string): boolean {
    return this.#unknown.has(revision)
  }

  /** Whether a pod with the right hash lacks something that hashes leave out. Always false without policies. */
  hasHiddenChange(revision: string | undefined, target: PodTarget): boolean {
    return (this.#changeTo(target, revision)?.changeClass ?? 'none') !== 'none'
  }

  /** `isImageOnly`: as the hashes of the pod have it, for contents that are not known any more. */
  wayOf(pod: Pod, revision: string | undefined, target: PodTarget, isImageOnly: boolean): PodWay {
    if (this.#policies === undefined) return isImageOnly ? { way: 'images' } : waits
    const known = this.#changeTo(target, revision)
    const way = wayOfChange(known ?? guess(isImageOnly), this.#policies)
    if (known === undefined && way === 'wait' && !isImageOnly) return { way, obstacle: unknownText(revision) }
    if (way === 'resize' && !this.#sources?.canResize())
      return { ...waits, obstacle: 'this Kubernetes cannot resize pods in place, which comes with 1.33' }
    if (way !== 'recreate') return { way }
    if (!this.#sources?.canEvict())
      return {
        ...waits,
        obstacle: 'the manager may not evict pods: outrigger install --recreate-pods lets it',
      }
    const owner = ownerOf(pod)
    return owner.isReplaceable ? { way } : { ...waits, obstacle: owner.reason }
  }

  #changeTo(target: PodTarget, revision: string | undefined): ContentChange | undefined {
    if (this.#policies === undefined || this.#sources === undefined || revision === undefined)
      return undefined
    const known = this.#changes.get(target) ?? new Map<string, ContentChange>()
    this.#changes.set(target, known)
    const found = known.get(revision)
    if (found !== undefined) return found
    const before = this.#sources.recordedContent(this.#sidecarSet, revision)
    if (before === undefined) {
      this.#unknown.add(revision)
      return undefined
    }
    const change = changeBetween(before, contentOf(target), this.#options)
    known.set(revision, change)
    return change
  }
}

function guess(isImageOnly: boolean): ContentChange {
  return { changeClass: isImageOnly ? 'images' : 'other', hasNewImages: isImageOnly }
}

function unknownText(revision: string | undefined): string {
  const carried =
    revision === undefined ? 'the content it carries' : `revision ${revision}, which it carries,`
  return `${carried} is not recorded, so that nobody knows what has changed`
}

/** In the form that revisions record. */
function contentOf({ content }: PodTarget): SidecarSetContent {
  return (JSON.parse(revisionData(content.spec)) as { spec: SidecarSetContent }).spec
}
