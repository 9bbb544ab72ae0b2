import { readFile } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { commandReference } from './command-reference.ts'

it('the reference of commands says what the program says; npx tsx tools/generate-command-reference.ts mends it', async () => {
  const page = await readFile(new URL('../docs/reference/commands.md', import.meta.url), 'utf8')
  expect(page).toBe(await commandReference())
})
