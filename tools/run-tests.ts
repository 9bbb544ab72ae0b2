import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Runs all tests and closes with one line that counts them: `N passed, N failed, N skipped`. */
const folder = mkdtempSync(join(tmpdir(), 'outrigger-tests-'))
const report = join(folder, 'report.json')
const args = [
  'vitest',
  'run',
  '--project',
  'unit',
  '--project',
  'system',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
]
const child = spawn('npx', args, { stdio: ['ignore', 'inherit', 'inherit'] })
const code = await new Promise<number>((resolve) => child.on('exit', (exit) => resolve(exit ?? 1)))

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}

try {
  const counts: Report = JSON.parse(readFileSync(report, 'utf8'))
  const skipped = counts.numPendingTests + counts.numTodoTests
  console.log(`${counts.numPassedTests} passed, ${counts.numFailedTests} failed, ${skipped} skipped`)
  process.exitCode = code === 0 && counts.numPassedTests === 0 ? 1 : code
} catch {
  console.log('0 passed, 1 failed')
  process.exitCode = code === 0 ? 1 : code
} finally {
  rmSync(folder, { recursive: true, force: true })
}
