import type { KubeObject, ObjectKey } from '@outrigger/kube'
import type { UserInfo } from '../auth/identity.ts'
import type { Shown } from './conversion.ts'
import type { Resource, Strategy } from './resource.ts'

/** What is written, and by which rules. */
export interface WriteTarget {
  readonly resource: Resource
  /** Name is empty on create until a name is drawn. */
  readonly key: ObjectKey
  /** Empty for the resource itself. */
  readonly subresource: string
  readonly strategy: Strategy
}

/** Who writes, and how. */
export interface Writer {
  readonly user: UserInfo
  /** Name in managedFields. */
  readonly manager: string
  /** Milliseconds since 1970. */
  readonly now: number
  readonly isDryRun: boolean
  /** CreateOptions, UpdateOptions, ... as admission sees them. */
  readonly options: Readonly<Record<string, unknown>>
  readonly warnings: Set<string>
  readonly signal: AbortSignal
}

export interface Written extends Shown {
  /** The object in the version of the request's resource. */
  readonly object: KubeObject
  readonly wasCreated: boolean
}

/** What an updater makes of the current object. */
export interface Proposal {
  /** Private and complete, in the version of the resource. */
  readonly object: KubeObject
  /** How managedFields are to be kept; `apply` proposals bring theirs with them. */
  readonly ownsFieldsBy: 'update' | 'apply'
}
