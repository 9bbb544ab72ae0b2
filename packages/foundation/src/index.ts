// Time

// Waiting and stopping
export { aborted, DeadlineExceeded, type Deferred, deferred, withDeadline } from './abort.ts'
export { type BackoffOptions, backoffDelay } from './backoff.ts'
export { type Clock, formatMicroTime, formatTime, parseTime } from './clock.ts'
// Saying what happened
export { DurationCounter, type DurationHistogram } from './duration-histogram.ts'
export { type LogFields, type Logger, silentLogger } from './logger.ts'
// Chance
export { type Random, SeededRandom, SystemRandom } from './random.ts'
export type { Runnable } from './runnable.ts'
export { SystemClock } from './system-clock.ts'
export { messageOf, UserError } from './user-error.ts'
