/** What the hand-over contract asks of a sidecar, in the order in which a trial gets there. */
export const hotUpgradeClauses = {
  injected: 'one container runs the image, the other the empty one',
  serves: 'requests are answered before any upgrade',
  'starts-beside': 'the new container starts beside the old one, without a restart',
  'takes-over': 'requests are answered while both run',
  'keeps-connections': 'a connection stays open while both run',
  'hands-over': 'requests are answered when the old container is told to stop',
  'ends-itself': 'the old container ends within its grace period',
  'own-pace': 'requests are answered in an upgrade that nobody slows down, back to the first image',
  'new-restarts': 'requests are answered when the new container ends in mid-upgrade, and it comes back',
  'goes-back': 'requests are answered when an upgrade is taken back half-way',
  'old-restarts': 'requests are answered when the old container ends in mid-upgrade',
  'empty-idles': 'the empty image is ready and never ends by itself',
} as const

export type ClauseName = keyof typeof hotUpgradeClauses

export const clauseNames = Object.keys(hotUpgradeClauses) as readonly ClauseName[]

export type ClauseOutcome =
  | 'held'
  | 'failed'
  /** The trial ended before, or could not do what it takes: nobody knows. */
  | 'not tried'
  /** As was asked for, or because it does not apply. */
  | 'left out'

/** What a trial says of one clause. */
export interface ClauseVerdict {
  readonly clause: ClauseName
  readonly title: string
  readonly outcome: ClauseOutcome
  /** What was seen, in a sentence for people. */
  readonly reason: string
  readonly figures?: ClauseFigures
}

/** What was counted for a clause. */
export interface ClauseFigures {
  readonly requests?: number
  readonly failed?: number
  /** Milliseconds between two answers, at most. */
  readonly longestGap?: number
  /** Milliseconds that both containers ran the sidecar, in whole seconds as a node tells them. */
  readonly bothRan?: number
  readonly restarts?: number
}
