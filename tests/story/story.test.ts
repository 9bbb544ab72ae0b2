import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { canRunContainers } from './can-run-containers.ts'
import { tellStory } from './story.ts'

const obstacle = canRunContainers()

describe('the story of the README', () => {
  // Without root or containerd there is nothing real to run; the simulated story is told either way.
  test.skipIf(obstacle !== undefined)('holds on real containers', () => tell('containerd', 25), 300_000)

  test('holds on the simulated runtime', () => tell('sim', 24), 300_000)
})

/** `promises`: how many checks the story makes, so that one that is never reached is missed. */
async function tell(runtime: 'containerd' | 'sim', promises: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-story-'))
  const lines: string[] = []
  const end = await tellStory({
    runtime,
    directory,
    environment: process.env,
    print: (line) => lines.push(line),
  })
  await end.end()
  rmSync(directory, { recursive: true, force: true })

  const broken = end.checks.filter((check) => !check.held)
  expect(broken, lines.join('\n')).toEqual([])
  expect(end.checks).toHaveLength(promises)
}
