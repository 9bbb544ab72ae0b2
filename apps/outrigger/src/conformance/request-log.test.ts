import { describe, expect, it } from 'vitest'
import { RequestLog } from './request-log.ts'

const at = (milliseconds: number) => new Date(Date.UTC(2026, 0, 1) + milliseconds).toISOString()

describe('a request log', () => {
  it('counts every line once, however often it is read', () => {
    const log = new RequestLog()
    log.add(`${at(0)} ok 1\n${at(10)} ok 2\n`)
    log.add(`${at(10)} ok 2\n${at(30)} failed 3 nc: can't connect\n${at(60)} ok 4\n`)

    expect(log.figures(0)).toEqual({
      requests: 4,
      failed: 1,
      longestGap: 50,
      firstFailure: "nc: can't connect",
      closed: 0,
    })
    expect(log.lastTime).toBe(at(60))
  })

  it('measures the first gap of a stretch from the last answer before it', () => {
    const log = new RequestLog()
    log.add(`${at(0)} ok 1\n`)
    const mark = log.mark()
    log.add(`${at(400)} ok 2\n`)

    expect(log.figures(mark)).toMatchObject({ requests: 1, longestGap: 400 })
    expect(log.requestsSince(mark)).toBe(1)
  })

  it('numbers connections apart from requests, and leaves other lines alone', () => {
    const log = new RequestLog()
    log.add(`${at(0)} ok 7\n${at(1)} closed 1\nnonsense\n${at(2)} sh: oops\n`)

    expect(log.figures(0)).toMatchObject({ requests: 1, closed: 1 })
  })
})
