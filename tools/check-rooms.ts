import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { findings, type SourceFile } from './room-rules.ts'
import { rooms } from './rooms.ts'

/** Holds every import of every room against `rooms.ts`. Prints what breaks the rules; exit code 1 if anything does. */
const root = resolve(dirname(new URL(import.meta.url).pathname), '..')

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory())
      return ['testdata', 'node_modules', 'dist'].includes(entry.name) ? [] : sources(path)
    return entry.name.endsWith('.ts') ? [path] : []
  })
}

const files: SourceFile[] = []
for (const name of readdirSync(join(root, 'packages'))) {
  for (const path of sources(join(root, 'packages', name, 'src'))) {
    files.push({ room: name, path: relative(root, path), text: readFileSync(path, 'utf8') })
  }
}

const problems = [
  ...Object.keys(rooms)
    .filter((name) => !files.some((file) => file.room === name))
    .map((name) => `packages/${name}: the room is empty or missing`),
  ...findings(files),
]
for (const problem of problems) process.stderr.write(`${problem}\n`)
process.stdout.write(
  `${files.length} files in ${Object.keys(rooms).length} rooms, ${problems.length} broken rules\n`,
)
process.exitCode = problems.length === 0 ? 0 : 1
