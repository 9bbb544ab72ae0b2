import { RuntimeError } from '@outrigger/kubelet/runtime'
import { describe, expect, test } from 'vitest'
import { callFailure } from './call-failure.ts'
import { GrpcFailure } from './cri-channel.ts'

describe('callFailure', () => {
  test('words a pull in full and a start by its description, as a kubelet does', () => {
    const text = 'failed to pull and unpack image "docker.io/library/x:y": not found'
    expect(callFailure('pull', new GrpcFailure(5, text))).toMatchObject({
      code: 'image-pull-failed',
      message: `rpc error: code = NotFound desc = ${text}`,
    })
    const start = 'failed to create containerd task: exec: "x": executable file not found in $PATH: unknown'
    expect(callFailure('start', new GrpcFailure(2, start))).toMatchObject({
      code: 'start-failed',
      message: start,
    })
  })

  test('tells a runtime that is away from a registry that is', () => {
    expect(callFailure('pull', new GrpcFailure(14, 'no connection to unix:///x'))).toMatchObject({
      code: 'unavailable',
    })
    expect(callFailure('pull', new GrpcFailure(14, 'failed to pull and unpack image "x"'))).toMatchObject({
      code: 'image-pull-failed',
    })
  })

  test('keeps secrets in addresses to itself', () => {
    const error = callFailure(
      'pull',
      new GrpcFailure(2, 'failed to do request: Get "https://me:pass@r.example/blob?signature=abc": EOF'),
    )
    expect((error as RuntimeError).message).toMatch(/Get "https:\/\/r\.example\/blob": EOF$/)
  })

  test('leaves an abort as it is', () => {
    const reason = new Error('stopped')
    expect(callFailure('other', reason)).toBe(reason)
    expect(callFailure('other', new GrpcFailure(4, 'late'))).toBeInstanceOf(RuntimeError)
  })
})
