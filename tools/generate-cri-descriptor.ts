/**
 * Turns `packages/runtime-cri/proto/*.proto` into `src/generated`: a descriptor that protobufjs loads without
 * parsing, and the TypeScript types of the messages. Run it after a change: `npx tsx tools/generate-cri-descriptor.ts`.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'

const room = fileURLToPath(new URL('../packages/runtime-cri/', import.meta.url))
const scalars: Readonly<Record<string, string>> = { string: 'string', bool: 'boolean', bytes: 'Uint8Array' }
const head = '// Made by tools/generate-cri-descriptor.ts from packages/runtime-cri/proto. Do not edit.\n'

const root = new protobuf.Root()
for (const name of readdirSync(join(room, 'proto')).sort()) {
  protobuf.parse(readFileSync(join(room, 'proto', name), 'utf8'), root)
}
root.resolveAll()

writeFileSync(
  join(room, 'src/generated/cri-descriptor.ts'),
  `${head}\n/** The messages and services, in the JSON form of protobufjs. */\nexport const criDescriptor = ${JSON.stringify(root.toJSON(), null, 1)}\n`,
)
writeFileSync(join(room, 'src/generated/cri-messages.ts'), `${head}${messages(root)}${services(root)}`)

function messages(namespace: protobuf.NamespaceBase): string {
  let text = ''
  for (const item of namespace.nestedArray) {
    if (item instanceof protobuf.Enum) text += enumeration(item)
    if (item instanceof protobuf.Type) text += message(item)
    if (item instanceof protobuf.Namespace) text += messages(item)
  }
  return text
}

function enumeration(item: protobuf.Enum): string {
  const values = Object.keys(item.values).map((value) => `'${value}'`)
  return `\nexport type ${item.name} = ${values.join(' | ')}\n`
}

function message(type: protobuf.Type): string {
  const fields = type.fieldsArray.map((field) => {
    const one = scalars[field.type] ?? field.resolvedType?.name ?? 'number'
    const of =
      field instanceof protobuf.MapField ? `Record<string, ${one}>` : field.repeated ? `${one}[]` : one
    return `  ${field.name}?: ${of} | undefined\n`
  })
  return `\nexport interface ${type.name} {\n${fields.join('')}}\n`
}

function services(namespace: protobuf.NamespaceBase): string {
  let methods = ''
  const visit = (space: protobuf.NamespaceBase) => {
    for (const item of space.nestedArray) {
      if (item instanceof protobuf.Service) {
        for (const method of item.methodsArray) {
          const [request, response] = [method.resolvedRequestType!.name, method.resolvedResponseType!.name]
          methods += `  ${method.name}: { service: '${item.fullName.slice(1)}'; request: ${request}; response: ${response}; streams: ${method.responseStream === true} }\n`
        }
      } else if (item instanceof protobuf.Namespace) visit(item)
    }
  }
  visit(namespace)
  return `\n/** Every method, by name. */\nexport interface CriMethods {\n${methods}}\n`
}
