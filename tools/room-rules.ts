import { posix } from 'node:path'
import { nodeModules, rooms } from './rooms.ts'

export interface SourceFile {
  readonly room: string
  /** From the repository's root, with forward slashes. */
  readonly path: string
  readonly text: string
}

const importPattern =
  /(?:^|[\s;])(?:import|export)\s+(?:[^'"`;]*?\sfrom\s+)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g
const drawers = new Set([
  'utils',
  'util',
  'helpers',
  'helper',
  'common',
  'shared',
  'misc',
  'types',
  'constants',
  'interfaces',
])
const readsOnlyThere: readonly {
  readonly pattern: RegExp
  readonly what: string
  readonly homes: readonly string[]
}[] = [
  {
    pattern: /\bDate\.now\s*\(|\bperformance\.now\s*\(|new Date\(\s*\)/,
    what: 'reads the clock',
    homes: ['packages/foundation/src/system-clock.ts'],
  },
  { pattern: /\bMath\.random\s*\(/, what: 'draws by chance', homes: ['packages/foundation/src/random.ts'] },
  { pattern: /\bprocess\.(env|argv|exit|cwd)\b/, what: 'reads the process environment', homes: [] },
]

/** Everything in `files` that breaks a rule of the house, one sentence each. */
export function findings(files: readonly SourceFile[]): string[] {
  return [...files.flatMap(fileFindings), ...cycles(files)]
}

/** What a file imports, in order. */
export function importsOf(text: string): string[] {
  const found: string[] = []
  for (const match of withoutComments(text).matchAll(importPattern)) found.push(match[1] ?? match[2] ?? '')
  return found
}

function fileFindings(file: SourceFile): string[] {
  const card = rooms[file.room]
  if (card === undefined)
    return [`${file.path}: there is no room called ${file.room}; add it to tools/rooms.ts`]
  const isTest =
    /\.(test|contract)\.ts$/.test(file.path) ||
    file.path.includes('/testing/') ||
    file.path.endsWith('manual-clock.ts')
  const problems = isTest ? [] : importsOf(file.text).flatMap((name) => importProblem(file, name))
  const name = posix.basename(file.path, '.ts')
  for (const part of [...file.path.split('/').slice(3, -1), name]) {
    if (drawers.has(part))
      problems.push(`${file.path}: "${part}" is a drawer; name the file after what it gives`)
  }
  if (isTest) return problems
  const code = withoutComments(file.text)
  for (const rule of readsOnlyThere) {
    if (rule.pattern.test(code) && !rule.homes.includes(file.path))
      problems.push(`${file.path}: ${rule.what}; have it handed in`)
  }
  return problems
}

function importProblem(file: SourceFile, name: string): string[] {
  const card = rooms[file.room]
  if (card === undefined) return []
  if (name.startsWith('.')) {
    const target = posix.normalize(posix.join(posix.dirname(file.path), name))
    return target.startsWith(`packages/${file.room}/`)
      ? []
      : [`${file.path}: imports ${name} past another room's door`]
  }
  if (name.startsWith('node:')) {
    const module = name.slice('node:'.length)
    return card.mayKnow.some((word) => nodeModules[word].includes(module))
      ? []
      : [`${file.path}: ${name} is not on the card of ${file.room}`]
  }
  if (name.startsWith('@outrigger/')) {
    const room = name.slice('@outrigger/'.length)
    return card.mayImport.includes(room) ? [] : [`${file.path}: ${file.room} may not import ${room}`]
  }
  const library = name.startsWith('@') ? name.split('/').slice(0, 2).join('/') : (name.split('/')[0] ?? name)
  return card.owns.includes(library) ? [] : [`${file.path}: ${library} does not belong to ${file.room}`]
}

/** Circles of files that import each other, told once each. */
function cycles(files: readonly SourceFile[]): string[] {
  const links = new Map(
    files.map((file) => [
      file.path,
      importsOf(file.text)
        .filter((name) => name.startsWith('.'))
        .map((name) => posix.normalize(posix.join(posix.dirname(file.path), name))),
    ]),
  )
  const found: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const visit = (path: string, trail: readonly string[]): void => {
    if (state.get(path) === 'done') return
    if (state.get(path) === 'open') {
      found.push(
        `${path}: imports itself in a circle: ${[...trail.slice(trail.indexOf(path)), path].join(' -> ')}`,
      )
      return
    }
    state.set(path, 'open')
    for (const next of links.get(path) ?? []) if (links.has(next)) visit(next, [...trail, path])
    state.set(path, 'done')
  }
  for (const path of links.keys()) visit(path, [])
  return found
}

/** The text with comments blanked, so that prose about `process.env` is no finding. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, ' ').replace(/(^|[^:'"`\\])\/\/.*$/gm, '$1')
}
