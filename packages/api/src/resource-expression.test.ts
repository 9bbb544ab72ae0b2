import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ExpressionError } from './expression-error.ts'
import { evaluateResourceExpression, resourceExpressionProblem, usesVariable } from './resource-expression.ts'

describe('a resource expression', () => {
  it.each<[string, 'cpu' | 'memory', string, string]>([
    ['max(cpu*50%, 100m)', 'cpu', '500m', '250m'],
    ['memory*25% + 64Mi', 'memory', '768Mi', '256Mi'],
    ['max(memory*10%, 32Mi)', 'memory', '256Mi', '32Mi'],
    ['memory*10%', 'memory', '256Mi', '26843545600m'],
    ['min(cpu*0.25 + 0.1, 1)', 'cpu', '2', '600m'],
    ['memory/3', 'memory', '1Gi', '357913941333m'],
    ['cpu*57%', 'cpu', '100m', '56m'],
    ['CPU * 2', 'cpu', '1', '2'],
    ['0.5*cpu - 0.3*max(0, cpu-4) + 0.3*max(0, cpu-8)', 'cpu', '10', '3800m'],
    ['max(min(max(10, 20), 15), 25)', 'cpu', '0', '25'],
    ['max(100m, min(200m, 150m)) + 50m', 'cpu', '0', '200m'],
    ['max(40m, 20)', 'cpu', '0', '20'],
    ['1.5Gi * 2', 'memory', '0', '3Gi'],
    ['1Gi + 100Mi', 'memory', '0', '1124Mi'],
    ['1000Gi + 500Gi', 'memory', '0', '1500Gi'],
    ['MEMORY*50%', 'memory', '1Gi', '512Mi'],
    ['MAX(cpu, Min(2, 3))', 'cpu', '1500m', '2'],
    ['-(-cpu)', 'cpu', '250m', '250m'],
    ['2 - 3 + cpu*4', 'cpu', '500m', '1'],
    ['1e3m + cpu', 'cpu', '1', 'error'],
    ['10K', 'cpu', '1', '0'],
    ['5abc + 1', 'cpu', '1', '1'],
    ['200Mi', 'memory', '0', '200Mi'],
    ['memory + 0', 'memory', '1e3', '1e3'],
    ['0.0015', 'cpu', '0', '1m'],
    ['1.7 + 0*memory', 'memory', '0', '1700m'],
  ])('%s with %s=%s is %s', (text, resource, amount, result) => {
    if (result === 'error')
      expect(() => evaluateResourceExpression(text, resource, amount)).toThrow(ExpressionError)
    else expect(evaluateResourceExpression(text, resource, amount)).toBe(result)
  })

  it.each([
    ['cpu*cpu', 'two quantities cannot be multiplied'],
    ['2/cpu', 'nothing can be divided by a quantity'],
    ['cpu/0', 'division by zero'],
    ['cpu - 2 - cpu', 'negative'],
    ['memory', 'no variable memory'],
    ['5..5', 'neither a number nor a quantity'],
    ['5%%', 'neither a number nor a quantity'],
    ['10K', '"10K" is neither'],
    ['max(1,2,3)', 'exactly two arguments'],
    ['avg(1,2)', 'no function avg'],
    ['cpu cpu', 'unexpected "cpu"'],
    ['(cpu', '")" is missing'],
    ['', 'unexpected end'],
    ['cpu; 1', 'unexpected character ";"'],
    ['('.repeat(100), 'nested deeper'],
    ['1'.repeat(3000), 'no longer than'],
    ['('.repeat(10_000), 'no longer than'],
    ['-'.repeat(2_000), 'nested deeper'],
    [`1${'+1'.repeat(1_000)}`, 'too long a chain'],
    ['1e300*1e300', 'too large'],
  ])('%s can never be right: %s', (text, problem) => {
    expect(resourceExpressionProblem(text, 'cpu')).toContain(problem)
  })

  it.each(['memory - 100Mi', 'max(memory - 100Mi, 64Mi)', '200Mi'])('%s can be right', (text) => {
    expect(resourceExpressionProblem(text, 'memory')).toBeUndefined()
  })

  it('knows whether it looks at other containers', () => {
    expect([usesVariable('200Mi'), usesVariable('max(cpu, 1)')]).toEqual([false, true])
  })

  it('fails in words only, whatever it is', () => {
    const word = fc.constantFrom(
      ...['cpu', 'memory', 'max', '(', ')', ',', '+', '-', '*', '/', '%', '1', '5.', '64Mi', 'e', 'K', ' '],
    )
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 12 }).map((words) => words.join('')),
    )
    fc.assert(
      fc.property(text, (expression) => {
        try {
          evaluateResourceExpression(expression, 'cpu', '100m')
        } catch (error) {
          expect(error).toBeInstanceOf(ExpressionError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
