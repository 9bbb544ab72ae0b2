import { chmod, mkdir, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'

/** Makes the folder, readable by its owner alone. */
export async function makePrivateDirectory(directory: string): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await chmod(directory, 0o700)
  } catch (error) {
    throw new UserError(
      `cannot make the folder ${directory}: ${messageOf(error)}`,
      'choose a folder that you may write to',
      { cause: error },
    )
  }
}

/** Content of a file as text; undefined when there is none. */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new UserError(`cannot read ${path}: ${messageOf(error)}`, 'check its permissions', { cause: error })
  }
}

/** Puts a whole file in place with mode 0600: readers see the old content or the new, never a part. */
export async function writeAtomically(path: string, content: string): Promise<void> {
  const temporary = `${path}.${process.pid}.new`
  try {
    await rm(temporary, { force: true })
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(content)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw new UserError(
      `cannot write ${path}: ${messageOf(error)}`,
      `check that ${dirname(path)} is writable and not full`,
      { cause: error },
    )
  }
}
