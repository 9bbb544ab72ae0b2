import type { OpsAnswer } from './ops-server.ts'

/** One named condition of being ready. */
export interface HealthCheck {
  readonly name: string
  readonly passes: () => boolean
}

/** `/readyz` or `/healthz` in the form kube-apiserver prints: one line a check, 200 or 503. */
export function healthPage(name: string, checks: readonly HealthCheck[]): () => OpsAnswer {
  return () => {
    const results = [{ name: 'ping', passes: () => true }, ...checks].map((check) => ({
      name: check.name,
      passed: check.passes(),
    }))
    const passed = results.every((result) => result.passed)
    const lines = results.map(
      (result) => `[${result.passed ? '+' : '-'}]${result.name} ${result.passed ? 'ok' : 'failed'}`,
    )
    return {
      status: passed ? 200 : 503,
      body: `${lines.join('\n')}\n${name} check ${passed ? 'passed' : 'failed'}\n`,
    }
  }
}
