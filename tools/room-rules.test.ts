import { describe, expect, test } from 'vitest'
import { findings } from './room-rules.ts'

describe('room rules', () => {
  test('let a room import what its card names', () => {
    expect(findings([aFile('injection', "import { a } from '@outrigger/kube'")])).toEqual([])
  })

  test('refuse an import from upstairs', () => {
    expect(findings([aFile('kube', "import { a } from '@outrigger/client'")])).toEqual([
      'packages/kube/src/a.ts: kube may not import client',
    ])
  })

  test('refuse a path past a door', () => {
    expect(findings([aFile('client', "import { a } from '../../kube/src/object.ts'")])).toHaveLength(1)
  })

  test('refuse node modules in a pure room, also by dynamic import', () => {
    expect(findings([aFile('injection', "const fs = await import('node:fs')")])).toEqual([
      'packages/injection/src/a.ts: node:fs is not on the card of injection',
    ])
  })

  test('refuse a library in a room that does not own it', () => {
    expect(findings([aFile('api', "import yaml from 'yaml'")])).toEqual([
      'packages/api/src/a.ts: yaml does not belong to api',
    ])
  })

  test('refuse the clock, chance and the environment, but not talk of them', () => {
    expect(
      findings([
        aFile('operator', 'const now = Date.now()\nconst x = Math.random()\nconst y = process.env.HOME'),
      ]),
    ).toHaveLength(3)
    expect(findings([aFile('operator', '// never Date.now() here\n/* Math.random() */')])).toEqual([])
  })

  test('find a circle of files, type imports included', () => {
    const found = findings([
      { room: 'kube', path: 'packages/kube/src/a.ts', text: "import type { B } from './b.ts'" },
      { room: 'kube', path: 'packages/kube/src/b.ts', text: "import type { A } from './a.ts'" },
    ])

    expect(found).toEqual([
      'packages/kube/src/a.ts: imports itself in a circle: packages/kube/src/a.ts -> packages/kube/src/b.ts -> packages/kube/src/a.ts',
    ])
  })

  test('refuse a drawer', () => {
    expect(findings([{ room: 'kube', path: 'packages/kube/src/utils.ts', text: '' }])).toHaveLength(1)
  })
})

function aFile(room: string, text: string) {
  return { room, path: `packages/${room}/src/a.ts`, text }
}
