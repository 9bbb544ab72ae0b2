import { spawn } from 'node:child_process'
import { type Clock, UserError, withDeadline } from '@outrigger/foundation'
import { imageArchive, type OciImage } from './oci-image.ts'

export interface ImportOptions {
  /** Path of containerd's own client program. */
  readonly ctr: string
  /** Path of containerd's socket. */
  readonly socket: string
  readonly clock: Clock
  /** Whether the runtime shows the image; it takes note of an import a moment later. */
  readonly isPresent: () => Promise<boolean>
}

const deadline = 120_000

/** Gives an image to containerd under its reference. Resolves when the runtime shows it. @throws UserError */
export async function importImage(image: OciImage, options: ImportOptions): Promise<void> {
  const { clock } = options
  await withDeadline(clock, deadline, `importing ${image.reference}`, (signal) =>
    runImport(imageArchive(image), image.reference, options, signal),
  )
  for (let waited = 0; waited < 5000; waited += 10) {
    if (await options.isPresent()) return
    await clock.sleep(10)
  }
  throw new UserError(`containerd took image ${image.reference} but does not show it`)
}

function runImport(
  archive: Buffer,
  reference: string,
  options: ImportOptions,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(options.ctr, ['-a', options.socket, '-n', 'k8s.io', 'images', 'import', '-'], {
      stdio: ['pipe', 'ignore', 'pipe'],
      signal,
    })
    let complaint = ''
    child.stderr.setEncoding('utf8')
    child.stderr.on('data', (chunk: string) => {
      if (complaint.length < 4096) complaint += chunk
    })
    child.on('error', reject)
    child.on('close', (code) => {
      if (code === 0) return resolve()
      reject(
        new UserError(`could not import image ${reference}: ${complaint.trim() || `ctr ended with ${code}`}`),
      )
    })
    // If ctr ends early, its exit code says more than a broken pipe.
    child.stdin.on('error', () => {})
    child.stdin.end(archive)
  })
}
