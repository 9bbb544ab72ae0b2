import { readFile } from 'node:fs/promises'
import { constants, gunzipSync } from 'node:zlib'
import { findBinaries, systemPath } from '@outrigger/runtime-cri'
import protobuf from 'protobufjs'
import { FileDescriptorProto } from 'protobufjs/ext/descriptor.js'
import { describe, expect, test } from 'vitest'
import { criDescriptor } from '../../packages/runtime-cri/src/generated/cri-descriptor.ts'
import { mustSkip } from './a-node.ts'

interface DescribedField {
  readonly name: string
  readonly number: number
  readonly typeName?: string
  readonly label: number
  readonly type: number
}

interface DescribedMessage {
  readonly name: string
  readonly field: readonly DescribedField[]
}

interface DescribedFile {
  readonly package: string
  readonly messageType: readonly DescribedMessage[]
  readonly enumType: readonly {
    readonly name: string
    readonly value: readonly { name: string; number: number }[]
  }[]
}

describe.skipIf(await mustSkip('wire-numbers.test.ts'))('the messages we wrote down', () => {
  test('have the numbers and types of the installed containerd', async () => {
    const { containerd } = await findBinaries({ path: systemPath })
    const files = describedFiles(await readFile(containerd))
    const ours = protobuf.Root.fromJSON(criDescriptor as protobuf.INamespace).resolveAll()
    const wrong: string[] = []
    let compared = 0
    for (const space of ['runtime.v1', 'containerd.events', 'containerd.services.events.v1']) {
      const theirs = new Map(
        files
          .filter((file) => file.package === space)
          .flatMap((file) => file.messageType)
          .map((message) => [message.name, message]),
      )
      const messages = ours.lookup(space)
      for (const type of messages instanceof protobuf.Namespace ? messages.nestedArray : []) {
        if (!(type instanceof protobuf.Type) || type.name === 'AnyEvent') continue
        for (const field of type.fieldsArray) {
          compared++
          const wireName = snakeCase(field.name)
          const other = theirs.get(type.name)?.field.find(({ name }) => name === wireName)
          if (other?.number !== field.id)
            wrong.push(`${type.name}.${wireName} is ${field.id}, should be ${other?.number}`)
          else if (!hasSameType(field, other)) wrong.push(`${type.name}.${wireName} has another type`)
        }
      }
    }
    expect(wrong).toEqual([])
    expect(compared).toBeGreaterThan(180)
  })
})

/** Finds the gzipped file descriptors that Go's protobuf library puts into a program. */
function describedFiles(program: Buffer): DescribedFile[] {
  const files: DescribedFile[] = []
  const magic = Buffer.from([0x1f, 0x8b, 0x08])
  for (let at = program.indexOf(magic); at >= 0; at = program.indexOf(magic, at + 3)) {
    try {
      const bytes = gunzipSync(program.subarray(at, at + 200_000), { finishFlush: constants.Z_SYNC_FLUSH })
      if (bytes[0] === 0x0a) files.push(FileDescriptorProto.decode(bytes) as unknown as DescribedFile)
    } catch {
      // Something else that begins with the same bytes.
    }
  }
  return files
}

const typeNumbers: Readonly<Record<string, number>> = {
  int64: 3,
  uint64: 4,
  int32: 5,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
}

function hasSameType(field: protobuf.Field, other: DescribedField): boolean {
  if (field instanceof protobuf.MapField)
    return other.label === 3 && other.typeName?.endsWith('Entry') === true
  if (field.repeated !== (other.label === 3)) return false
  const number = typeNumbers[field.type]
  if (number !== undefined) return other.type === number
  const theirs = other.typeName?.split('.').at(-1)
  return theirs === field.resolvedType?.name || (field.type === 'AnyEvent' && theirs === 'Any')
}

function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
