import {
  type ConfigMap,
  deepEqual,
  type FieldError,
  forbidden,
  invalid,
  required,
  type Secret,
} from '@outrigger/kube'
import { checkName, type Errors } from '../field-checks.ts'
import type { KindBuilder } from '../kind-definition.ts'
import { selectableOf } from '../kind-definition.ts'
import { configKeyProblems } from '../name-rules.ts'
import { createStrategy } from '../strategy.ts'

const maxBytes = 1024 * 1024
const immutable = 'field is immutable when `immutable` is set'

/** Config maps: keys are file names, and an immutable one stays as it is. */
export const configMapKind: KindBuilder = (schema) => ({
  strategy: createStrategy<ConfigMap>({
    schema,
    validate(map) {
      const errors: Errors = []
      let size = 0
      for (const key in map.data) {
        checkName(errors, `data[${key}]`, key, configKeyProblems)
        if (map.binaryData?.[key] !== undefined)
          errors.push(invalid(`data[${key}]`, key, 'duplicate of key present in binaryData'))
        size += byteLength(map.data[key] ?? '')
      }
      for (const key in map.binaryData) {
        checkName(errors, `binaryData[${key}]`, key, configKeyProblems)
        size += decodedLength(map.binaryData[key] ?? '')
      }
      if (size > maxBytes) errors.push(tooLarge(''))
      return errors
    },
    validateUpdate(map, old) {
      const errors: Errors = []
      if (old.immutable !== true) return errors
      if (map.immutable !== true) errors.push(forbidden('immutable', immutable))
      if (!deepEqual(map.data ?? {}, old.data ?? {})) errors.push(forbidden('data', immutable))
      if (!deepEqual(map.binaryData ?? {}, old.binaryData ?? {}))
        errors.push(forbidden('binaryData', immutable))
      return errors
    },
  }),
})

const tooLarge = (field: string): FieldError => ({
  type: 'too-long',
  field,
  detail: `may not be more than ${maxBytes} bytes`,
})
const byteLength = (text: string) => Buffer.byteLength(text)
const decodedLength = (base64: string) => Math.floor((base64.length * 3) / 4)

/** Keys a secret of a type must have. */
const neededKeys: Readonly<Record<string, readonly string[]>> = {
  'kubernetes.io/dockercfg': ['.dockercfg'],
  'kubernetes.io/dockerconfigjson': ['.dockerconfigjson'],
  'kubernetes.io/ssh-auth': ['ssh-privatekey'],
  'kubernetes.io/tls': ['tls.crt', 'tls.key'],
}

/** Secrets: `stringData` becomes `data`, and typed secrets hold what their type promises. */
export const secretKind: KindBuilder = (schema) => ({
  strategy: createStrategy<Secret>({
    schema,
    applyDefaults(secret) {
      secret.type ??= 'Opaque'
      if (secret.stringData === undefined) return
      const data = { ...secret.data }
      for (const key in secret.stringData)
        data[key] = Buffer.from(secret.stringData[key] ?? '', 'utf8').toString('base64')
      if (Object.keys(data).length > 0) secret.data = data
      delete secret.stringData
    },
    validate: secretErrors,
    validateUpdate(secret, old) {
      const errors: Errors = []
      if (secret.type !== old.type) errors.push(invalid('type', secret.type, 'field is immutable'))
      if (old.immutable !== true) return errors
      if (secret.immutable !== true) errors.push(forbidden('immutable', immutable))
      if (!deepEqual(secret.data ?? {}, old.data ?? {})) errors.push(forbidden('data', immutable))
      return errors
    },
    warnings(secret) {
      if (secret.type !== 'kubernetes.io/tls') return []
      const certificate = decode(secret, 'tls.crt')
      return certificate.includes('-----BEGIN CERTIFICATE-----')
        ? []
        : ['tls: failed to find any PEM data in certificate input']
    },
  }),
  selectable: selectableOf<Secret>({ type: ({ type }) => type }),
})

const redacted = '<secret contents redacted>'
const decode = (secret: Secret, key: string) =>
  Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8')

function secretErrors(secret: Secret): Errors {
  const errors: Errors = []
  let size = 0
  for (const key in secret.data) {
    checkName(errors, `data[${key}]`, key, configKeyProblems)
    size += decodedLength(secret.data[key] ?? '')
  }
  if (size > maxBytes) errors.push(tooLarge('data'))
  const type = secret.type ?? ''
  for (const key of neededKeys[type] ?? [])
    if (secret.data?.[key] === undefined) errors.push(required(`data[${key}]`))
    else if (type.startsWith('kubernetes.io/docker')) checkJson(errors, key, decode(secret, key))
  if (
    type === 'kubernetes.io/basic-auth' &&
    secret.data?.username === undefined &&
    secret.data?.password === undefined
  )
    errors.push(required('data[username]'), required('data[password]'))
  if (type === 'kubernetes.io/service-account-token') {
    const name = secret.metadata.annotations?.['kubernetes.io/service-account.name']
    if (!name) errors.push(required('metadata.annotations[kubernetes.io/service-account.name]'))
  }
  return errors
}

function checkJson(errors: Errors, key: string, text: string): void {
  try {
    JSON.parse(text)
  } catch {
    errors.push(invalid(`data[${key}]`, redacted, jsonProblem(text)))
  }
}

const literals = ['null', 'true', 'false']

/** What Go's decoder says of the first thing it stumbles over. Never shows more than one character. */
function jsonProblem(text: string): string {
  const start = text.trimStart()
  if (start === '') return 'unexpected end of JSON input'
  const literal = literals.find((word) => word[0] === start[0])
  if (literal !== undefined)
    for (let index = 1; index < literal.length; index++) {
      const character = start[index]
      if (character === undefined) return 'unexpected end of JSON input'
      if (character !== literal[index])
        return `invalid character '${character}' in literal ${literal} (expecting '${literal[index]}')`
    }
  if (literal === undefined && !/^[{["0-9-]/.test(start))
    return `invalid character '${start[0]}' looking for beginning of value`
  return 'the value is not valid JSON'
}
