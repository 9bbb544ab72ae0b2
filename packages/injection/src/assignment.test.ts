import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assign, type Choice } from './assignment.ts'

const identities = fc.oneof(
  fc.uuid(),
  fc.string(),
  fc.tuple(fc.constantFrom('shop', 'bank'), fc.nat(99)).map(([namespace, i]) => `${namespace}/web-${i}`),
)
const someChoices = fc.uniqueArray(
  fc.record({ name: fc.constantFrom('', 'a', 'b', 'c', 'trial'), weight: fc.nat(100) }),
  { selector: ({ name }) => name, minLength: 1 },
)
const chosen = (identity: string, choices: readonly Choice[]) => assign(identity, choices)?.name

describe('an assignment', () => {
  it('is always one of the choices that have weight, and the same in whichever order they are given', () => {
    fc.assert(
      fc.property(identities, someChoices, (identity, choices) => {
        const name = chosen(identity, choices)
        expect(chosen(identity, [...choices].reverse())).toBe(name)
        const weighty = choices.filter(({ weight }) => weight > 0)
        if (weighty.length === 0) expect(name).toBeUndefined()
        else expect(weighty.map((choice) => choice.name)).toContain(name)
      }),
    )
  })

  it('changes with the weight of one choice only to it when it grows, and only away from it when it shrinks', () => {
    fc.assert(
      fc.property(identities, someChoices, fc.nat(100), fc.nat(4), (identity, choices, weight, at) => {
        const changed = choices[at % choices.length] as Choice
        const before = chosen(identity, choices)
        const after = chosen(
          identity,
          choices.map((choice) => (choice === changed ? { ...choice, weight } : choice)),
        )
        if (before === after) return
        if (weight > changed.weight) expect(after).toBe(changed.name)
        else expect(before).toBe(changed.name)
      }),
    )
  })

  it.each([
    ['consecutive names', (i: number) => `logs pod shop/web-${i}`],
    ['namespaces that differ', (i: number) => `logs pod team-${i}/web-0`],
    ['seeds', (i: number) => `logs seed ${(i * 7_919).toString(36).padStart(8, '0')}`],
  ])('goes by the weights over %s', (_, identityOf) => {
    const choices = [
      { name: 'a', weight: 1 },
      { name: 'b', weight: 29 },
      { name: '', weight: 70 },
    ]
    const count = 20_000
    const counts = new Map<string | undefined, number>()
    for (let i = 0; i < count; i++) {
      const name = chosen(identityOf(i), choices)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    for (const { name, weight } of choices) {
      const expected = (count * weight) / 100
      const deviation = Math.sqrt(expected * (1 - weight / 100))
      expect(Math.abs((counts.get(name) ?? 0) - expected)).toBeLessThan(5 * deviation)
    }
  })

  it('moves hardly more identities than it must when a share grows at the cost of the rest', () => {
    const at = (a: number) => [
      { name: 'a', weight: a },
      { name: 'b', weight: 10 },
      { name: '', weight: 90 - a },
    ]
    let moved = 0
    for (let i = 0; i < 20_000; i++)
      if (chosen(`logs pod shop/web-${i}`, at(10)) !== chosen(`logs pod shop/web-${i}`, at(20))) moved++
    expect(moved / 20_000).toBeGreaterThan(0.095)
    expect(moved / 20_000).toBeLessThan(0.12)
  })
})
