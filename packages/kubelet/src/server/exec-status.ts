/** The Status object that ends an exec or attach: kubectl turns it into its own exit code. */
export function exitStatus(exitCode: number): object {
  if (exitCode === 0) return { metadata: {}, status: 'Success' }
  return {
    metadata: {},
    status: 'Failure',
    reason: 'NonZeroExitCode',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  }
}

/** The Status of a command that could not be run. */
export function failureStatus(message: string): object {
  // Twice, as it passes two layers of a kubelet that both say so; tools print it as it is.
  const text = `Internal error occurred: Internal error occurred: error executing command in container: ${message}`
  return { metadata: {}, status: 'Failure', reason: 'InternalError', message: text, code: 500 }
}
