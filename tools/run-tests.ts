import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Runs all tests and closes with one line that counts them: `N passed, N failed, N skipped`. Unit tests take all processors;
 * after them two lanes run side by side, each one file at a time, because they wait more than they work.
 */
const stages = [['unit'], ['system', 'machine']] as const

interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

interface Report {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
}

const folder = mkdtempSync(join(tmpdir(), 'outrigger-tests-'))
let isGood = true
const all: Counts[] = []
try {
  for (const projects of stages) all.push(...(await Promise.all(projects.map(runProject))))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
const sum = (count: keyof Counts) => all.reduce((total, counts) => total + counts[count], 0)
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`)
process.exitCode = isGood && sum('passed') > 0 ? 0 : 1

/** A run that ends without a report counts as one failure. */
async function runProject(project: string): Promise<Counts> {
  const path = join(folder, `${project}.json`)
  const flags = ['--project', project, '--passWithNoTests', '--reporter=default', '--reporter=json']
  const args = ['vitest', 'run', ...flags, `--outputFile.json=${path}`, ...process.argv.slice(2)]
  const child = spawn('npx', args, { stdio: ['ignore', 'inherit', 'inherit'] })
  const code = await new Promise<number>((resolve) => child.on('exit', (exit) => resolve(exit ?? 1)))
  if (code !== 0) isGood = false
  const counts = countsIn(path)
  if (counts === undefined && code === 0) return { passed: 0, failed: 0, skipped: 0 }
  return counts ?? { passed: 0, failed: 1, skipped: 0 }
}

function countsIn(path: string): Counts | undefined {
  try {
    const report: Report = JSON.parse(readFileSync(path, 'utf8'))
    return {
      passed: report.numPassedTests,
      failed: report.numFailedTests,
      skipped: report.numPendingTests + report.numTodoTests,
    }
  } catch {
    return undefined
  }
}
