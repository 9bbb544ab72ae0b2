import type { Clock, LogFields, Logger } from '@outrigger/foundation'

export interface LoggerOptions {
  readonly clock: Clock
  readonly processId: number
  readonly format: 'text' | 'json'
  /** 0 tells what changed and what failed, 4 and more adds why nothing happened. */
  readonly verbosity: number
  readonly write: (line: string) => void
}

type Severity = 'I' | 'W' | 'E'

/**
 * A logger in klog's text form, or one JSON object a line with `ts` (milliseconds), `level` and `msg`, so
 * that log pipelines made for Kubernetes components read it. Debug lines appear from verbosity 4 on.
 */
export function createLogger(options: LoggerOptions): Logger {
  return withFields(options, {})
}

function withFields(options: LoggerOptions, fixed: LogFields): Logger {
  const line = options.format === 'json' ? jsonLine : textLine
  const log = (severity: Severity, message: string, fields: LogFields = {}, verbosity = 0) =>
    options.write(line(options, severity, message, { ...fixed, ...fields }, verbosity))
  return {
    debug: (message, fields) => {
      if (options.verbosity >= 4) log('I', message, fields, 4)
    },
    info: (message, fields) => log('I', message, fields),
    warn: (message, fields) => log('W', message, fields),
    error: (message, fields) => log('E', message, fields),
    with: (fields) => withFields(options, { ...fixed, ...fields }),
  }
}

function textLine(options: LoggerOptions, severity: Severity, message: string, fields: LogFields): string {
  const time = new Date(options.clock.now()).toISOString()
  const stamp = `${time.slice(5, 7)}${time.slice(8, 10)} ${time.slice(11, 23)}000`
  const pairs = Object.entries(fields).map(([key, value]) => ` ${key}=${quoted(value)}`)
  return `${severity}${stamp} ${String(options.processId).padStart(7)} outrigger] ${JSON.stringify(message)}${pairs.join('')}\n`
}

const levels: Readonly<Record<Severity, string>> = { I: 'info', W: 'warning', E: 'error' }

function jsonLine(
  options: LoggerOptions,
  severity: Severity,
  message: string,
  fields: LogFields,
  verbosity: number,
): string {
  const { error, ...rest } = fields
  return `${JSON.stringify({
    ts: options.clock.now(),
    level: levels[severity],
    msg: message,
    ...(severity === 'I' && { v: verbosity }),
    ...(error !== undefined && { err: error }),
    ...rest,
  })}\n`
}

function quoted(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return JSON.stringify(typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value)))
}
