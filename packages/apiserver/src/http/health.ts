import type { Reply } from '../registry/api-request.ts'

export interface HealthCheck {
  readonly name: string
  isHealthy(): boolean
}

const plain = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }
const endpoints = ['healthz', 'livez', 'readyz']

/** Whether a path belongs to the health endpoints. */
export function isHealthPath(path: string): boolean {
  const first = path.split('/', 2)[1]
  return endpoints.includes(first ?? '')
}

/**
 * Answers `/healthz`, `/livez`, `/readyz` and one check of each (`/healthz/ping`). `readiness` holds the
 * checks that only `/readyz` makes.
 */
export function answerHealth(
  path: string,
  query: URLSearchParams,
  checks: readonly HealthCheck[],
  readiness: readonly HealthCheck[],
): Reply {
  const [endpoint = '', name] = path.split('/').slice(1)
  const all = endpoint === 'readyz' ? [...checks, ...readiness] : checks
  if (name !== undefined && name !== '') {
    const check = all.find((one) => one.name === name)
    if (check === undefined) return { code: 404, headers: plain, body: '404 page not found\n' }
    return check.isHealthy()
      ? { code: 200, headers: plain, body: 'ok' }
      : { code: 500, headers: plain, body: `internal server error: ${name} failed\n` }
  }
  const excluded = new Set(query.getAll('exclude'))
  const states = all
    .filter((check) => !excluded.has(check.name))
    .map((check) => ({ name: check.name, isHealthy: check.isHealthy() }))
  const lines = states.map((state) =>
    state.isHealthy ? `[+]${state.name} ok\n` : `[-]${state.name} failed: reason withheld\n`,
  )
  if (states.some((state) => !state.isHealthy))
    return { code: 500, headers: plain, body: `${lines.join('')}${endpoint} check failed\n` }
  if (!query.has('verbose')) return { code: 200, headers: plain, body: 'ok' }
  return { code: 200, headers: plain, body: `${lines.join('')}${endpoint} check passed\n` }
}
