/** What varies in a log line. Never put a secret in here. */
export type LogFields = Readonly<Record<string, unknown>>

/**
 * One constant sentence and its fields. Whoever handles an error logs it; whoever passes it on does
 * not. Libraries never choose where logs go: the logger is handed in.
 */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger that adds these fields to every line. */
  with(fields: LogFields): Logger
}

/** Says nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLogger,
}
