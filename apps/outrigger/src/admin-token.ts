import { randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'

/** The bearer token of the cluster's administrator: made once, kept with mode 0600. */
export async function ensureAdminToken(pki: string): Promise<string> {
  const path = join(pki, 'admin-token')
  try {
    const kept = (await readFile(path, 'utf8')).trim()
    if (kept.length >= 32) return kept
  } catch (error) {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (!isMissing)
      throw new UserError(
        `the admin token ${path} cannot be read: ${messageOf(error)}`,
        'make it readable or remove it',
        { cause: error },
      )
  }
  const token = randomBytes(32).toString('base64url')
  await writeFile(`${path}.new`, `${token}\n`, { mode: 0o600 })
  await rename(`${path}.new`, path)
  return token
}
