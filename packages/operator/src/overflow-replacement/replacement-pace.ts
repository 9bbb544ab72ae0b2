import { backoffDelay, type Clock } from '@outrigger/foundation'

/** What one pod may do now. */
export type Turn =
  /** It is being replaced: since when it is in flight and since when its mark stands, on the monotonic clock. */
  | { readonly is: 'now'; readonly markedAt: number | undefined }
  /** Others of its owner come first, or a pause after failures is not over. */
  | { readonly is: 'later'; readonly after: number; readonly failures: number }
  /** As often as allowed, nothing came of it. */
  | { readonly is: 'never'; readonly failures: number }

interface Flight {
  readonly began: number
  isLeaving: boolean
  markedAt: number | undefined
  deadline: number
}

interface OwnerState {
  readonly flights: Map<string, Flight>
  window: number
  failures: number
  lastFailure: number
  pausedUntil: number
  touched: number
}

/** Failures in a row after which an owner's pods are left alone. */
export const maxFailures = 5

const pauses = { initial: 10_000, max: 600_000 }
const largestWindow = 32
/** Milliseconds from the turn to the replacement, and from the end of the pod to it. */
const flightTime = 120_000
const arrivalTime = 30_000
/** Milliseconds without any pod that asks, after which an owner begins anew. */
const memory = 3_600_000
const lookAfter = 30_000

/**
 * How fast the pods of one owner are replaced: one at first, twice as many after each success, one again after
 * a failure, each failure followed by a longer pause, and none any more after five in a row. What it knows is in memory:
 * a manager that starts anew begins with one pod again.
 */
export class ReplacementPace {
  readonly #clock: Pick<Clock, 'monotonic'>
  readonly #owners = new Map<string, OwnerState>()

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.#clock = clock
  }

  /** The pod's turn; `now` takes its place among those in flight. */
  enter(owner: string, uid: string): Turn {
    const now = this.#clock.monotonic()
    const state = this.#stateOf(owner, now)
    state.touched = now
    this.#expire(state, now)
    const flight = state.flights.get(uid)
    if (flight !== undefined) return { is: 'now', markedAt: flight.markedAt }
    const { failures } = state
    if (failures >= maxFailures) return { is: 'never', failures }
    if (state.pausedUntil > now) return { is: 'later', after: state.pausedUntil - now, failures }
    if (state.flights.size >= state.window) return { is: 'later', after: lookAfter, failures }
    state.flights.set(uid, { began: now, isLeaving: false, markedAt: undefined, deadline: now + flightTime })
    return { is: 'now', markedAt: undefined }
  }

  marked(owner: string, uid: string): void {
    const flight = this.#owners.get(owner)?.flights.get(uid)
    if (flight !== undefined) flight.markedAt = this.#clock.monotonic()
  }

  /** The pod is being deleted. */
  leaving(owner: string, uid: string): void {
    const flight = this.#owners.get(owner)?.flights.get(uid)
    if (flight !== undefined) flight.isLeaving = true
  }

  /** The pod is gone; its replacement is due. */
  gone(owner: string, uid: string): void {
    const flight = this.#owners.get(owner)?.flights.get(uid)
    if (flight !== undefined)
      flight.deadline = Math.min(flight.deadline, this.#clock.monotonic() + arrivalTime)
  }

  /** The pod needs no replacement any more, or is not one to be replaced. */
  left(owner: string, uid: string): void {
    this.#owners.get(owner)?.flights.delete(uid)
  }

  /**
   * A pod with sidecars came in the place of this one; or of another that is leaving, which a webhook cannot always tell
   * apart.
   */
  succeeded(owner: string, uid: string): void {
    const state = this.#owners.get(owner)
    if (state === undefined) return
    const isRight = state.flights.get(uid)?.isLeaving
    const leaving = isRight ? uid : [...state.flights].find(([, { isLeaving }]) => isLeaving)?.[0]
    state.flights.delete(leaving ?? uid)
    state.failures = 0
    state.pausedUntil = 0
    state.window = Math.min(largestWindow, state.window * 2)
  }

  /** How many more pods of the owner may be in flight. */
  room(owner: string): number {
    const state = this.#owners.get(owner)
    return state === undefined ? 1 : Math.max(0, state.window - state.flights.size)
  }

  failed(owner: string, uid: string): void {
    const state = this.#owners.get(owner)
    const flight = state?.flights.get(uid)
    if (state === undefined || flight === undefined) return
    this.#fail(state, uid, flight, this.#clock.monotonic())
  }

  #stateOf(owner: string, now: number): OwnerState {
    const known = this.#owners.get(owner)
    if (known !== undefined && now - known.touched < memory) return known
    for (const [key, { touched }] of this.#owners) if (now - touched >= memory) this.#owners.delete(key)
    const state = {
      flights: new Map(),
      window: 1,
      failures: 0,
      lastFailure: -Infinity,
      pausedUntil: 0,
      touched: now,
    }
    this.#owners.set(owner, state)
    return state
  }

  #expire(state: OwnerState, now: number): void {
    for (const [uid, flight] of state.flights) if (flight.deadline <= now) this.#fail(state, uid, flight, now)
  }

  /** Those that were in flight together fail as one. */
  #fail(state: OwnerState, uid: string, flight: Flight, now: number): void {
    state.flights.delete(uid)
    if (flight.began < state.lastFailure) return
    state.failures++
    state.lastFailure = now
    state.window = 1
    state.pausedUntil = now + backoffDelay(pauses, state.failures)
  }
}
