import { silentLogger } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import type { Release } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { createServerRelease, declarationFor, readRelease } from './server-release.ts'

const { signal } = new AbortController()
const saying = (text: string, status = 200) => ({
  raw: async () => ({ status, headers: {}, body: Buffer.from(text) }),
})

describe('the release of an API server', () => {
  it.each([
    ['{"major":"1","minor":"22"}', 22],
    ['{"major":"1","minor":"28+"}', 28],
    ['{"major":"1","minor":""}', undefined],
    ['{"major":"2","minor":"0"}', undefined],
    ['{"major":1,"minor":30}', undefined],
    ['[]', undefined],
    ['<html>', undefined],
    [`{"major":"1","minor":"30","padding":"${'x'.repeat(70_000)}"}`, undefined],
  ])('is read from %.60s', async (text, release) => {
    expect(await readRelease(saying(text), signal)).toBe(release)
  })

  it('is not known where the server refuses to say', async () => {
    expect(await readRelease(saying('{"major":"1","minor":"30"}', 403), signal)).toBeUndefined()
  })

  it('is asked for again and again: a cluster is upgraded under its managers', async () => {
    const clock = new ManualClock()
    const stopping = new AbortController()
    const read: (Release | undefined)[] = []
    const answers = [saying('{"major":"1","minor":"28"}'), saying('{"major":"1","minor":"29"}')]
    const ended = createServerRelease({
      client: { raw: async () => (answers.shift() ?? saying('', 500)).raw() },
      clock,
      logger: silentLogger,
      onRead: (release) => read.push(release),
    }).run(stopping.signal)

    await clock.advance(0)
    expect(read).toEqual([28])
    await clock.advance(600_000)
    expect(read).toEqual([28, 29])
    stopping.abort()
    await ended
  })
})

it('leaves match conditions out of what a server is told that has not got them', () => {
  const declaration = { name: 'pods', matchConditions: [{ name: 'any', expression: 'true' }] }
  const told = (release: Release | undefined) =>
    'matchConditions' in declarationFor(release, declaration as never)
  expect([undefined, 22, 27, 28, 36].map(told)).toEqual([false, false, false, true, true])
})
