import { expect, it } from 'vitest'
import { isSameImage } from './image-identity.ts'

it.each([
  ['busybox', 'docker.io/library/busybox:latest', true],
  ['index.docker.io/busybox', 'busybox', true],
  ['example/agent:1', 'docker.io/example/agent:1', true],
  ['localhost/agent:1', 'agent:1', false],
  ['registry:5000/agent', 'registry:5000/agent:latest', true],
  ['a:1', 'a:2', false],
  ['a:1@sha256:x', 'docker-pullable://mirror.io/a@sha256:x', true],
  ['a@sha256:x', 'a@sha256:y', false],
  ['a:1', 'a@sha256:x', false],
])('%s and %s are the same image: %s', (left, right, expected) => {
  expect(isSameImage(left, right)).toBe(expected)
  expect(isSameImage(right, left)).toBe(expected)
})
