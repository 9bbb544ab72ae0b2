import { describe, expect, it } from 'vitest'
import { decodeProtobufObject } from './decode-object.ts'
import { ProtobufError } from './wire-reader.ts'

/** A field with a length: text, bytes or a message. */
const field = (number: number, ...content: (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(content.map((part) => Buffer.from(part as string)))
  return Buffer.concat([varint((number << 3) | 2), varint(body.length), body])
}
const number = (at: number, value: number) => Buffer.concat([varint(at << 3), varint(value)])

function varint(value: number): Buffer {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) | 0x80)
  }
}

const envelope = (apiVersion: string, kind: string, ...raw: Buffer[]) =>
  Buffer.concat([Buffer.from('k8s\0'), field(1, field(1, apiVersion), field(2, kind)), field(2, ...raw)])

describe('a protobuf body', () => {
  it('becomes the object its JSON form would be', () => {
    const time = field(8, number(1, 1_767_225_600))
    const metadata = field(1, field(1, 'web'), time, field(11, field(1, 'app'), field(2, 'x')))
    const quantity = field(2, field(1, 'cpu'), field(2, field(1, '500m')))
    const container = field(2, field(1, 'main'), field(2, 'a:1'), field(8, quantity))
    const secret = field(1, field(1, 'v'), field(2, field(6, field(1, 's'))))
    const body = envelope('v1', 'Pod', metadata, field(2, secret, container, number(4, 0)))
    expect(decodeProtobufObject(body)).toEqual({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'web', creationTimestamp: '2026-01-01T00:00:00Z', labels: { app: 'x' } },
      spec: {
        volumes: [{ name: 'v', secret: { secretName: 's' } }],
        containers: [{ name: 'main', image: 'a:1', resources: { requests: { cpu: '500m' } } }],
        terminationGracePeriodSeconds: 0,
      },
    })
  })

  it('shows numbers or texts where either may stand, and bytes in base64', () => {
    const port = field(1, number(3, 80), field(4, number(1, 1), field(3, 'http')))
    const service = envelope('v1', 'Service', field(2, port))
    expect(decodeProtobufObject(service)).toMatchObject({
      spec: { ports: [{ port: 80, targetPort: 'http' }] },
    })
    const secret = envelope('v1', 'Secret', field(2, field(1, 'k'), field(2, Buffer.from([0, 255]))))
    expect(decodeProtobufObject(secret)).toMatchObject({ data: { k: 'AP8=' } })
  })

  it('may hold fields nobody knows, and a key that is no ordinary one', () => {
    const map = field(11, field(1, '__proto__'), field(2, 'x'))
    const decoded = decodeProtobufObject(envelope('v1', 'ConfigMap', field(1, map), number(99, 1)))
    expect(JSON.stringify(decoded)).toContain('"__proto__":"x"')
  })

  it('is refused when it is cut off, of an unknown kind, or something else altogether', () => {
    const whole = envelope('v1', 'ConfigMap', field(1, field(1, 'a')))
    for (const body of [
      whole.subarray(0, -1),
      envelope('v1', 'Nonsense'),
      Buffer.from('{}'),
      Buffer.alloc(0),
    ])
      expect(() => decodeProtobufObject(body)).toThrow(ProtobufError)
  })
})
