import { readFileSync } from 'node:fs'

/** A request to a real kube-apiserver 1.36 and its answer. */
export interface RecordedStep {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  // biome-ignore lint/suspicious/noExplicitAny: recordings are read by tests that know what is in them
  readonly body: any
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly answer: any
  readonly status: number
}

interface Step {
  readonly method: string
  readonly path: string
  readonly headers?: Record<string, string>
  readonly body?: unknown
  readonly rawBody?: unknown
  readonly expect: { readonly status: number; readonly body?: unknown }
}

/** The steps of a recording; placeholders are replaced by fixed texts. For tests of this room only. */
export function recordedSteps(name: string): RecordedStep[] {
  const text = readFileSync(new URL(`../testdata/recorded/${name}.json`, import.meta.url), 'utf8')
    .replaceAll(/\$\{time\}/g, '2026-01-02T03:04:05Z')
    .replaceAll(/\$\{NS\}/g, 'default')
    .replaceAll(/\$\{([a-z]+):?(\d*)\}/g, '$1-$2')
  const { steps } = JSON.parse(text)
  return steps.map((step: Step) => ({
    method: step.method,
    path: step.path,
    headers: step.headers ?? {},
    body: step.body ?? step.rawBody,
    answer: step.expect.body,
    status: step.expect.status,
  }))
}
