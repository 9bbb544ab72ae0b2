import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Writes packages/kube/data/kubernetes-ages.json: which minor release of Kubernetes brought the kinds, fields and
 * resources of 1.36 that 1.22 did not have yet. The facts are those of the official Python clients, which are made
 * from the OpenAPI document of each release; their wheels, unpacked side by side as FOLDER/22 ... FOLDER/36, are
 * what it reads. Run with `npx tsx tools/generate-kube-ages.ts FOLDER`.
 */
const [folder] = process.argv.slice(2)
if (folder === undefined) throw new Error('name the folder with the unpacked clients, 22 to 36')

const definitionsFile = new URL('../packages/kube/data/kubernetes-1.36-definitions.json', import.meta.url)
const discoveryFile = new URL('../packages/kube/data/kubernetes-1.36-discovery.json', import.meta.url)
const target = new URL('../packages/kube/data/kubernetes-ages.json', import.meta.url)
const oldest = 22
const newest = 36

interface Client {
  readonly minor: number
  /** JSON names of the fields by class. */
  readonly classes: ReadonlyMap<string, ReadonlySet<string>>
  readonly paths: ReadonlySet<string>
}

function readClient(minor: number): Client {
  const root = join(folder ?? '', String(minor), 'kubernetes', 'client')
  const classes = new Map<string, ReadonlySet<string>>()
  for (const file of readdirSync(join(root, 'models'))) {
    if (!file.endsWith('.py')) continue
    const text = readFileSync(join(root, 'models', file), 'utf8')
    const name = /^class (\w+)\(/m.exec(text)?.[1]
    const map = /attribute_map = \{([^}]*)\}/.exec(text)?.[1]
    if (name === undefined || map === undefined) continue
    classes.set(name, new Set([...map.matchAll(/'\w+': '([^']+)'/g)].map((match) => match[1] ?? '')))
  }
  const paths = new Set<string>()
  for (const file of readdirSync(join(root, 'api'))) {
    if (!file.endsWith('.py')) continue
    const text = readFileSync(join(root, 'api', file), 'utf8')
    for (const match of text.matchAll(/'(\/apis?\/[^' ]*)'/g)) paths.add(match[1] ?? '')
  }
  return { minor, classes, paths }
}

const clients = Array.from({ length: newest - oldest + 1 }, (_, at) => readClient(oldest + at))
const firstWith = (test: (client: Client) => boolean) => clients.find(test)?.minor

/** The class a definition became: `V1Container`, or with its group in front where two had the same name. */
function classNamesOf(definition: string): string[] {
  const parts = definition.split('.')
  const name = parts.at(-1) ?? ''
  const version = parts.at(-2) ?? ''
  const group = parts.at(-3) ?? ''
  const upper = (word: string) => `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`
  return [`${upper(group)}${upper(version)}${name}`, `${upper(version)}${name}`, name]
}

const { definitions } = JSON.parse(readFileSync(definitionsFile, 'utf8'))
const fields: Record<string, Record<string, number>> = {}
for (const [definition, { properties }] of Object.entries<{ properties?: object }>(definitions)) {
  if (properties === undefined) continue
  const names = classNamesOf(definition)
  const known = clients.at(-1)?.classes
  const own = names.find((name) => known?.has(name))
  if (own === undefined) continue
  const since = firstWith(({ classes }) => names.some((name) => classes.has(name))) ?? oldest
  const younger = Object.keys(properties).flatMap((field) => {
    const minor = firstWith(({ classes }) => names.some((name) => classes.get(name)?.has(field)))
    return minor === undefined || minor <= since ? [] : [[field, minor] as const]
  })
  if (younger.length > 0) fields[definition] = Object.fromEntries(younger)
}

const discovery = JSON.parse(readFileSync(discoveryFile, 'utf8'))
const resources: Record<string, number> = {}
for (const document of [discovery.core, discovery.groups])
  for (const { metadata, versions } of document.items)
    for (const { version, resources: listed } of versions)
      for (const { resource, scope, subresources } of listed) {
        const group = metadata.name ?? ''
        const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`
        const place = scope === 'Namespaced' ? `${root}/namespaces/{namespace}` : root
        const note = (name: string, path: string) => {
          const minor = firstWith(({ paths }) => paths.has(path))
          if (minor === undefined) console.error(`no client has ${path}`)
          else if (minor > oldest) resources[`${group}/${version}/${name}`] = minor
        }
        note(resource, `${place}/${resource}`)
        for (const { subresource } of subresources ?? [])
          note(`${resource}/${subresource}`, `${place}/${resource}/{name}/${subresource}`)
      }

const source = 'The official Python clients 22.6.0 to 36.0.3; numbers are minor releases'
writeFileSync(target, `${JSON.stringify({ source, fields, resources }, null, 1)}\n`)
