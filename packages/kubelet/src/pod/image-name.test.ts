import { expect, test } from 'vitest'
import { imageNameProblem } from './image-name.ts'

const digest = `sha256:${'0123456789abcdef'.repeat(4)}`

test.each([
  'busybox',
  'busybox:1.36',
  'hashicorp/http-echo:1.0',
  'localhost/a/b__c/d-e.f:v1',
  'registry.example:5000/team/app:v1',
  `registry.example/app@${digest}`,
  `app:v1@${digest}`,
  'REGISTRY/app',
])('finds nothing wrong with %s', (name) => {
  expect(imageNameProblem(name)).toBeUndefined()
})

test.each([
  ['BAD:::name', 'invalid reference format: repository name (library/BAD) must be lowercase'],
  ['registry.example/Team/app', 'invalid reference format: repository name (Team/app) must be lowercase'],
  ['bad:::name', 'invalid reference format'],
  ['a//b', 'invalid reference format'],
  ['app:', 'invalid reference format'],
  [`app:${'v'.repeat(129)}`, 'invalid reference format'],
  ['app@sha256:0', 'invalid reference format'],
  ['a b', 'invalid reference format'],
  ['', 'invalid reference format'],
  [`${'a'.repeat(300)}`, 'repository name must not be more than 255 characters'],
  ['a'.repeat(64), `invalid repository name (${'a'.repeat(64)}), cannot specify 64-byte hexadecimal strings`],
])('says what is wrong with %j', (name, why) => {
  expect(imageNameProblem(name)).toBe(`couldn't parse image name "${name}": ${why}`)
})
