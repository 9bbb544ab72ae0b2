// For tests only: a clock moved by hand and a logger that remembers.
export { ManualClock, settle } from './manual-clock.ts'
export { type LogLine, MemoryLogger } from './memory-logger.ts'
