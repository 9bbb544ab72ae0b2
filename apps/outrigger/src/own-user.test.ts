import { expect, it } from 'vitest'
import { subjectOf } from './own-user.ts'

const tokenWith = (claims: unknown) => `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`

it('finds the user name of a service account in its token', () => {
  expect(subjectOf(tokenWith({ sub: 'system:serviceaccount:ops:manager' }))).toBe(
    'system:serviceaccount:ops:manager',
  )
})

it.each([['not a token'], [tokenWith({})], [tokenWith(null)]])('says so when there is none', (token) => {
  expect(() => subjectOf(token)).toThrow('does not say who we are')
})
