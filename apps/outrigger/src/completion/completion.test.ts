import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { runRecorded } from '../testing/recorded-run.ts'
import { completionScripts } from './scripts.ts'

const here = { workingDirectory: import.meta.dirname }
const completed = async (...words: string[]) => {
  const { out, error, exitCode } = await runRecorded(['__complete', '--', ...words], here)
  expect([error, exitCode]).toEqual(['', 0])
  return out
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t', 1)[0])
}

describe('at a tab', () => {
  it.each<[words: readonly string[], candidates: readonly string[]]>([
    [['ro'], ['rollout']],
    [
      ['rollout', ''],
      ['status', 'pause', 'resume', 'history', 'undo', 'help'],
    ],
    [['rollout', 'un'], ['undo']],
    [['rollout', 'undo', '--to'], ['--to-revision']],
    [['rollout', 'undo', '--context', 'x', '--dry'], ['--dry-run']],
    [
      ['inject', '-o', ''],
      ['yaml', 'json'],
    ],
    [['inject', '--output', 'j'], ['json']],
    [['inject', '-f', ''], []],
    [['inject', '-f', '--diff', '--exp'], ['--explain']],
    [['conformance', 'hot-upgrade', '--skip', 'own'], ['own-pace']],
    [['explain', 'pod', ''], []],
    [['help', 'rollout', 'st'], ['status']],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish'],
    ],
    [
      ['nonsense', 'in'],
      ['install', 'inject'],
    ],
  ])('%j is completed with %j', async (words, candidates) => {
    expect(await completed(...words)).toEqual(candidates)
  })

  it('commands come with what they are for, hidden ones not at all', async () => {
    const { out } = await runRecorded(['__complete', '--', ''], here)
    expect(out).toMatch(/^lint\tcheck SidecarSets/m)
    expect(out).not.toContain('__complete')
  })
})

describe('the scripts', () => {
  it('are printed for the shells there are', async () => {
    expect(await runRecorded(['completion', 'zsh'], here)).toEqual({
      out: completionScripts.zsh,
      error: '',
      exitCode: 0,
    })
    expect(await runRecorded(['completion', 'tcsh'], here)).toMatchObject({
      exitCode: 1,
      error: expect.stringContaining('Allowed choices are bash, zsh, fish'),
    })
  })

  it('bash fills in what the program answers', () => {
    const tab = (...words: string[]) => {
      const script = `
        outrigger() { if [ "$1 $2" = '__complete --' ]; then shift 2; printf '%s\\tof %s\\n' "<$*>" x second y; fi; }
        ${completionScripts.bash}
        COMP_WORDS=(outrigger ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
        _outrigger; printf '%s\\n' "\${COMPREPLY[@]}"`
      const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
      return [stdout, stderr]
    }
    expect(tab('rollout', 'st')).toEqual(['<rollout st>\nsecond\n', ''])
    expect(tab('explain', '')).toEqual(['<explain >\nsecond\n', ''])
  })
})
