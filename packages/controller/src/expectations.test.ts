import { ManualClock } from '@outrigger/foundation/testing'
import { describe, expect, test } from 'vitest'
import { createExpectations } from './expectations.ts'

describe('Expectations', () => {
  test('are met once everything asked for was seen, and by nothing else', () => {
    const { expectations } = some()
    expectations.expectCreations('set', ['a', 'b'])
    expectations.expectDeletions('set', ['uid-x'])

    expectations.observeCreation('set', 'a')
    expectations.observeCreation('set', 'a')
    expectations.observeCreation('set', 'stranger')
    expect(expectations.isSatisfied('set')).toBe(false)

    expectations.observeCreation('set', 'b')
    expectations.observeDeletion('set', 'uid-x')
    expect(expectations.isSatisfied('set')).toBe(true)
  })

  test('of a version are met by that version and later ones', () => {
    const { expectations } = some()
    expectations.expectVersion('set', 'u', '99')
    expectations.observeVersion('set', 'u', '98')
    expect(expectations.isSatisfied('set')).toBe(false)

    expectations.observeVersion('set', 'u', '100')
    expect(expectations.isSatisfied('set')).toBe(true)
  })

  test('of a version are met when the object is gone', () => {
    const { expectations } = some()
    expectations.expectVersion('set', 'u', '99')
    expectations.observeDeletion('set', 'u')

    expect(expectations.isSatisfied('set')).toBe(true)
  })

  test('stop holding anything up after their timeout', async () => {
    const { expectations, clock } = some()
    expectations.expectCreations('set', ['a'])
    await clock.advance(9_000)

    expect(expectations.remaining('set')).toBe(1_000)
    await clock.advance(1_000)
    expect(expectations.isSatisfied('set')).toBe(true)
  })

  test('of one owner are nobody else’s', () => {
    const { expectations } = some()
    expectations.expectCreations('one', ['a'])

    expect(expectations.isSatisfied('other')).toBe(true)
    expectations.forget('one')
    expect(expectations.isSatisfied('one')).toBe(true)
  })
})

function some() {
  const clock = new ManualClock()
  return { clock, expectations: createExpectations({ clock, timeout: 10_000 }) }
}
