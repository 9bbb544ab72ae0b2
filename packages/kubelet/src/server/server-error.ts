import type { ServerResponse } from 'node:http'

/** An answer that is not a success: code and one sentence. */
export class ServerError extends Error {
  override readonly name = 'ServerError'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** Sends an error as plain text, unless the answer has begun; then the connection is cut. */
export function sendError(answer: ServerResponse, error: unknown): void {
  const code = error instanceof ServerError ? error.code : 500
  const message = error instanceof Error ? error.message : 'internal error'
  if (answer.headersSent) {
    answer.destroy()
    return
  }
  answer.writeHead(code, { 'content-type': 'text/plain; charset=utf-8' })
  answer.end(`${message}\n`)
}
