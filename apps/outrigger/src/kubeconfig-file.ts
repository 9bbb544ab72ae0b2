import { readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import { formatYaml, parseYaml } from '@outrigger/kube'
import { makeFolder } from './make-folder.ts'

export interface KubeconfigContent {
  readonly server: string
  /** PEM. */
  readonly certificateAuthority: string
  readonly token: string
}

/**
 * Writes a kubeconfig with one context, mode 0600, in one step. A file that is there and was not written
 * by us is left alone; of ours, the namespace chosen with kubectl stays.
 *
 * @throws UserError when the file belongs to somebody else or cannot be written.
 */
export async function writeKubeconfig(path: string, content: KubeconfigContent): Promise<void> {
  const namespace = await namespaceIn(path)
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
    contexts: [
      {
        name: 'outrigger',
        context: {
          cluster: 'outrigger',
          user: 'outrigger-admin',
          ...(namespace !== undefined && { namespace }),
        },
      },
    ],
    users: [{ name: 'outrigger-admin', user: { token: content.token } }],
  })}`
  try {
    await makeFolder(dirname(path))
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

/**
 * The namespace that was chosen in the file that is there, if it is ours. kubectl drops comments when it sets
 * the namespace, so a file is ours too if it knows our cluster and our user and no other.
 *
 * @throws UserError when it is somebody else's.
 */
async function namespaceIn(path: string): Promise<string | undefined> {
  const present = await readFile(path, 'utf8').catch(() => '')
  if (present === '') return undefined
  const { clusters, users, contexts } = parseKubeconfig(present)
  const isOurs = isOnly(clusters, 'outrigger') && isOnly(users, 'outrigger-admin')
  if (present.startsWith(mark) || isOurs)
    return contexts?.find(({ name }) => name === 'outrigger')?.context?.namespace
  throw new UserError(
    `the kubeconfig ${path} was not written by outrigger`,
    'name another file with --kubeconfig, or move it away',
  )
}

interface Named {
  readonly name?: string
}

interface ForeignKubeconfig {
  readonly clusters?: readonly Named[]
  readonly users?: readonly Named[]
  readonly contexts?: readonly (Named & { readonly context?: { readonly namespace?: string } })[]
}

/** What cannot be read names nothing. */
function parseKubeconfig(text: string): ForeignKubeconfig {
  try {
    const value = parseYaml(text)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}

function isOnly(entries: readonly Named[] | undefined, name: string): boolean {
  return Array.isArray(entries) && entries.length === 1 && entries[0]?.name === name
}
