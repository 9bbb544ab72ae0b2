import { fieldErrorBody, fieldErrorReason } from '@outrigger/kube'
import { describe, expect, test } from 'vitest'
import { StatusError } from '../registry/status-error.ts'
import recorded from './testdata/recorded-writes.json' with { type: 'json' }
import { KindsUnderTest, type Outcome } from './testing/kinds-under-test.ts'

interface Step {
  readonly method: string
  readonly path: string
  readonly body: object
  readonly status: number
  readonly object?: Record<string, unknown>
  readonly annotations?: Record<string, string>
  readonly only?: Record<string, unknown>
  readonly causes?: readonly { readonly reason: string; readonly field: string; readonly message: string }[]
  readonly message?: string
  readonly warnings?: readonly string[]
}

/** Writes answered by kube-apiserver 1.36.2, replayed on the rules alone. */
describe('The built-in kinds answer as kube-apiserver did', () => {
  for (const { name, about, steps } of recorded as unknown as {
    name: string
    about: string
    steps: Step[]
  }[])
    test(`${name}: ${about}`, async () => {
      const kinds = new KindsUnderTest()
      for (const step of steps) await replay(kinds, step)
    })
})

async function replay(kinds: KindsUnderTest, step: Step): Promise<void> {
  const where = `${step.method} ${step.path}`
  const outcome = await perform(kinds, step)
  if (outcome instanceof StatusError) {
    expect(outcome.code, `${where}: ${outcome.message}`).toBe(step.status)
    if (step.message !== undefined) expect(outcome.message).toBe(step.message)
    return
  }
  const causes = outcome.errors.map((error) => ({
    reason: fieldErrorReason(error),
    field: error.field,
    message: fieldErrorBody(error),
  }))
  if (step.causes !== undefined) {
    // Go's random map order and dumps of its structs are no part of the promise.
    const short = (list: typeof causes) => list.map(({ reason, field }) => `${field}: ${reason}`).sort()
    expect(short(causes), where).toEqual(short([...step.causes]))
    return
  }
  expect(causes, where).toEqual([])
  if (step.object !== undefined) {
    const {
      apiVersion: _,
      kind: __,
      metadata,
      ...rest
    } = outcome.object as unknown as Record<string, unknown>
    expectLike(rest, step.object, where)
    expectLike((metadata as { annotations?: unknown }).annotations, step.annotations, `${where} annotations`)
  }
  for (const [path, expected] of Object.entries(step.only ?? {}))
    expectLike(at(outcome.object, path), expected, `${where} ${path}`)
  if (step.warnings !== undefined) {
    const own = step.warnings.filter((text) => !text.startsWith('v1 Endpoints'))
    expect([...outcome.warnings].sort(), where).toEqual([...own].sort())
  }
}

async function perform(kinds: KindsUnderTest, step: Step): Promise<Outcome | StatusError> {
  const parts = step.path.split('/').filter((part) => part !== '')
  const [group, version, rest] =
    parts[0] === 'api' ? ['', parts[1], parts.slice(2)] : [parts[1], parts[2], parts.slice(3)]
  const inside = rest[0] === 'namespaces' && rest.length > 2 ? rest.slice(2) : rest
  const resource = kinds.find(inside[0] ?? '', group, version)
  try {
    if (step.method === 'POST') return await kinds.create(resource, step.body)
    return await kinds.patch(resource, inside[1] ?? '', step.body)
  } catch (error) {
    if (error instanceof StatusError) return error
    throw error
  }
}

function at(object: unknown, path: string): unknown {
  let value: unknown = object
  for (const part of path.replace(/\[(\d+)\]/g, '.$1').split('.'))
    value = (value as Record<string, unknown> | undefined)?.[part]
  return value ?? null
}

/** Equal but for recorded placeholders (`${uid:1}`), which stand for anything. */
function expectLike(actual: unknown, expected: unknown, where: string): void {
  expect(masked(actual, expected), where).toEqual(expected)
}

function masked(actual: unknown, expected: unknown): unknown {
  if (typeof expected === 'string' && expected.includes('${')) {
    const pattern = expected.replace(/[.*+?^()|[\]\\]/g, '\\$&').replace(/\$\{[^}]*\}/g, '.+')
    return new RegExp(`^${pattern}$`).test(String(actual)) ? expected : actual
  }
  if (Array.isArray(actual) && Array.isArray(expected))
    return actual.map((item, index) => masked(item, expected[index]))
  if (typeof actual === 'object' && actual !== null && typeof expected === 'object' && expected !== null) {
    const copy: Record<string, unknown> = {}
    for (const [key, value] of Object.entries(actual))
      copy[key] = masked(value, (expected as Record<string, unknown>)[key])
    return copy
  }
  return actual
}
