import { writeFileSync } from 'node:fs'
import { commandReference } from './command-reference.ts'

/** Writes docs/reference/commands.md. Run it after a change of a command: `npx tsx tools/generate-command-reference.ts`. */
const page = new URL('../docs/reference/commands.md', import.meta.url)
// Help is as wide as the terminal it is printed to; the page is not.
process.stdout.columns = 80
writeFileSync(page, await commandReference())
