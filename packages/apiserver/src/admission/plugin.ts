import type { KubeObject } from '@outrigger/kube'
import type { UserInfo } from '../auth/identity.ts'
import type { Resource } from '../registry/resource.ts'

export type Operation = 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'

/** One request in admission. */
export interface AdmissionAttributes {
  readonly operation: Operation
  readonly resource: Resource
  /** Empty for the resource itself. */
  readonly subresource: string
  readonly namespace: string
  /** Empty while a generated name is not drawn yet. */
  readonly name: string
  /**
   * The object being written, already defaulted. A mutating step changes it in place or assigns a
   * new one. Absent on DELETE.
   */
  object: KubeObject | undefined
  /** What is stored; frozen. Absent on CREATE. */
  readonly oldObject: KubeObject | undefined
  /** CreateOptions, UpdateOptions, DeleteOptions or PatchOptions as received. */
  readonly options: Readonly<Record<string, unknown>>
  readonly isDryRun: boolean
  readonly user: UserInfo
  /** Adds a Warning header to the answer. */
  warn(text: string): void
}

/** One step of the admission chain. A step refuses by throwing a StatusError. */
export interface AdmissionPlugin {
  readonly name: string
  /** Cheap test: is this request its business at all? */
  concerns(attributes: AdmissionAttributes): boolean
  /** May change the object. Runs before validation. */
  mutate?(attributes: AdmissionAttributes, signal: AbortSignal): Promise<void> | void
  /** Must not change anything. Runs after validation. */
  validate?(attributes: AdmissionAttributes, signal: AbortSignal): Promise<void> | void
}
