import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import { formatYaml } from '@outrigger/kube'

export interface KubeconfigContent {
  readonly server: string
  /** PEM. */
  readonly certificateAuthority: string
  readonly token: string
}

/**
 * Writes a kubeconfig with one context, mode 0600, in one step. A file that is there and was not written
 * by us is left alone.
 *
 * @throws UserError when the file belongs to somebody else or cannot be written.
 */
export async function writeKubeconfig(path: string, content: KubeconfigContent): Promise<void> {
  await refuseForeign(path)
  const text = `${mark}\n${formatYaml({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'outrigger',
    clusters: [
      {
        name: 'outrigger',
        cluster: {
          server: content.server,
          'certificate-authority-data': Buffer.from(content.certificateAuthority).toString('base64'),
        },
      },
    ],
    contexts: [{ name: 'outrigger', context: { cluster: 'outrigger', user: 'outrigger-admin' } }],
    users: [{ name: 'outrigger-admin', user: { token: content.token } }],
  })}`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(`${path}.new`, text, { mode: 0o600 })
    await rename(`${path}.new`, path)
  } catch (error) {
    throw new UserError(
      `the kubeconfig ${path} cannot be written: ${messageOf(error)}`,
      'name another file with --kubeconfig',
      { cause: error },
    )
  }
}

const mark = '# Written by outrigger up; overwritten at its next start.'

async function refuseForeign(path: string): Promise<void> {
  const present = await readFile(path, 'utf8').catch(() => '')
  if (present === '' || present.startsWith(mark)) return
  throw new UserError(
    `the kubeconfig ${path} was not written by outrigger`,
    'name another file with --kubeconfig, or move it away',
  )
}
