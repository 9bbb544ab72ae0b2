const second = 1000
const minute = 60 * second
const hour = 60 * minute

/**
 * A duration as `kubectl get` shows it: two units while the larger one is small, one unit later.
 * The steps are those of `k8s.io/apimachinery/pkg/util/duration.HumanDuration`. Up to two seconds in
 * the future count as now (clocks differ); anything further back is `<invalid>`.
 */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / second)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 60 * 2) return `${seconds}s`
  const minutes = Math.trunc(milliseconds / minute)
  if (minutes < 10) {
    const rest = seconds % 60
    return rest === 0 ? `${minutes}m` : `${minutes}m${rest}s`
  }
  if (minutes < 60 * 3) return `${minutes}m`
  const hours = Math.trunc(milliseconds / hour)
  if (hours < 8) {
    const rest = minutes % 60
    return rest === 0 ? `${hours}h` : `${hours}h${rest}m`
  }
  if (hours < 48) return `${hours}h`
  const days = Math.trunc(hours / 24)
  if (hours < 24 * 8) {
    const rest = hours % 24
    return rest === 0 ? `${days}d` : `${days}d${rest}h`
  }
  if (hours < 24 * 365 * 2) return `${days}d`
  const years = Math.trunc(hours / 24 / 365)
  if (hours < 24 * 365 * 8) {
    const rest = days % 365
    return rest === 0 ? `${years}y` : `${years}y${rest}d`
  }
  return `${years}y`
}

/** Time since an RFC 3339 stamp; `<unknown>` when there is none. */
export function ageSince(stamp: string | null | undefined, now: number): string {
  if (stamp === undefined || stamp === null || stamp === '') return '<unknown>'
  return humanDuration(now - Date.parse(stamp))
}
