import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf, UserError } from '@outrigger/foundation'
import { isRecord, type KubeObject, ManifestError, parseManifests, parseYaml } from '@outrigger/kube'
import { absolutePath, type Environment } from '../environment.ts'
import { decodeText } from './decode-text.ts'
import { splitDocuments } from './split-documents.ts'

/** One object of a manifest file and where it stands there. */
export interface Manifest {
  /** The path as the user wrote it, `-` for standard input. */
  readonly file: string
  /** Line of the file on which the object's document begins, from 1. */
  readonly line: number
  readonly object: KubeObject
  /** Where in its document's `items` the object is; absent when it is the document. */
  readonly item?: number
  readonly document: ManifestText
}

/** The text an object was read from; the objects of one `List` share theirs. */
export interface ManifestText {
  readonly text: string
  /** Line of the file on which `text` begins, from 1. */
  readonly line: number
}

const isManifestFile = (name: string) => /\.(ya?ml|json)$/.test(name)

/**
 * Reads manifests from files, from the YAML and JSON files of folders (not of folders in them) and, for
 * `-`, from standard input; in the order given, files of a folder by name.
 *
 * @throws UserError that names file and line.
 */
export async function readManifests(paths: readonly string[], environment: Environment): Promise<Manifest[]> {
  refuseRepeatedInput(paths)
  const manifests: Manifest[] = []
  for (const path of paths) {
    if (path === '-') manifests.push(...parseManifestBytes('-', await environment.readInput()))
    else
      for (const file of await filesAt(path, environment))
        manifests.push(...(await readOne(file, environment)))
  }
  return manifests
}

/** @throws UserError where standard input would have to be read twice. */
export function refuseRepeatedInput(paths: readonly string[]): void {
  if (paths.filter((path) => path === '-').length > 1)
    throw new UserError('standard input can be read once only', 'give - once, and files for the rest')
}

/** @throws UserError where a command that needs objects was given none. */
export function refuseNothing(manifests: readonly Manifest[], paths: readonly string[]): void {
  if (manifests.length === 0)
    throw new UserError(`there is no Kubernetes object in ${namesOf(paths)}`, 'check what is given with -f')
}

/** Paths as people read them. */
export function namesOf(paths: readonly string[]): string {
  return paths.map((path) => (path === '-' ? '<stdin>' : path)).join(', ')
}

async function filesAt(path: string, environment: Environment): Promise<string[]> {
  const absolute = absolutePath(environment, path)
  const found = await stat(absolute).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  if (!found.isDirectory()) return [path]
  const names = (await readdir(absolute)).filter(isManifestFile).sort()
  if (names.length === 0)
    throw new UserError(`folder ${path} has no .yaml, .yml or .json file`, 'name a folder with manifests')
  return names.map((name) => join(path, name))
}

async function readOne(path: string, environment: Environment): Promise<Manifest[]> {
  const bytes = await readFile(absolutePath(environment, path)).catch((error: unknown) => {
    throw unreadable(path, error)
  })
  return parseManifestBytes(path, bytes)
}

function unreadable(path: string, error: unknown): UserError {
  const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
  return isMissing
    ? new UserError(`${path} does not exist`, 'check the path after -f or -s', { cause: error })
    : new UserError(`${path} cannot be read: ${messageOf(error)}`, undefined, { cause: error })
}

function parseManifestBytes(file: string, bytes: Uint8Array): Manifest[] {
  const text = decodeText(bytes)
  if (text !== undefined) return parseManifestText(file, text)
  throw new UserError(
    `${file === '-' ? '<stdin>' : file} is not a text in UTF-8`,
    'save it as UTF-8, if it is a manifest',
  )
}

/** The objects in the text of one file. @throws UserError that names file and line. */
export function parseManifestText(file: string, text: string): Manifest[] {
  return splitDocuments(text).flatMap((document) => {
    try {
      const isList = hasItems(document.text)
      return parseManifests(document.text).map(({ object, line }, i) => ({
        file,
        line: document.line + line - 1,
        object,
        document,
        ...(isList && { item: i }),
      }))
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error
      const line = document.line + error.line - 1
      const reason = error.message.replace(/^line \d+, column \d+: /, '')
      throw new UserError(
        `${placeOf({ file, line })}: not a Kubernetes manifest: ${reason}`,
        'mend this document; nothing was printed',
        { cause: error },
      )
    }
  })
}

function hasItems(text: string): boolean {
  if (!/List\b/.test(text)) return false
  const value = parseYaml(text)
  return (
    isRecord(value) &&
    typeof value['kind'] === 'string' &&
    value['kind'].endsWith('List') &&
    Array.isArray(value['items'])
  )
}

/** `pods.yaml:12`, where a person finds it. */
export function placeOf({ file, line }: Pick<Manifest, 'file' | 'line'>): string {
  return `${file === '-' ? '<stdin>' : file}:${line}`
}

/** `Deployment default/web`, as people speak of an object. */
export function titleOf({ kind, metadata }: KubeObject): string {
  const name = metadata.name || `${metadata.generateName ?? ''}*`
  return metadata.namespace ? `${kind} ${metadata.namespace}/${name}` : `${kind} ${name}`
}
