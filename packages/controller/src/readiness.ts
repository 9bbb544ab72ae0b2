/** One thing that must be so before traffic may come. */
export interface ReadinessCheck {
  readonly name: string
  /** Asked on every probe: must be quick and without effects. */
  isReady(): boolean
}

/** Whether all checks hold, and the names of those that do not. */
export interface Readiness {
  readonly isReady: boolean
  readonly waitingFor: readonly string[]
}

/** Asks every check once. A check that throws does not hold. */
export function readinessOf(checks: readonly ReadinessCheck[]): Readiness {
  const waitingFor = checks.filter((check) => !holds(check)).map((check) => check.name)
  return { isReady: waitingFor.length === 0, waitingFor }
}

function holds(check: ReadinessCheck): boolean {
  try {
    return check.isReady()
  } catch {
    return false
  }
}
