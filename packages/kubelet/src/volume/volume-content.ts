import type {
  ConfigMap,
  Container,
  DownwardAPIVolumeFile,
  KeyToPath,
  Pod,
  Secret,
  Volume,
  VolumeProjection,
} from '@outrigger/kube'
import { type PodPlace, readField, readResource } from '../pod/field-ref.ts'
import type { VolumeFile } from '../runtime.ts'
import type { TokenWish } from './service-account-tokens.ts'

/** Where the files of a volume come from. `volume` says which volume asks. */
export interface ContentSources {
  readonly place: PodPlace
  /** Undefined: there is none. Rejects when it may not be read. */
  configMap(name: string, volume: string): Promise<ConfigMap | undefined>
  secret(name: string, volume: string): Promise<Secret | undefined>
  token(wish: TokenWish): Promise<string>
}

type Files = Map<string, VolumeFile>
type Keyed = { readonly content: ReadonlyMap<string, Uint8Array>; readonly kind: string }

const maxVolumeBytes = 16 * 1024 * 1024

/**
 * The files of a volume that the API server holds, or undefined for other kinds of volumes.
 * @throws Error with a message fit for a `FailedMount` event
 */
export async function volumeContent(
  pod: Pod,
  volume: Volume,
  sources: ContentSources,
): Promise<ReadonlyMap<string, VolumeFile> | undefined> {
  const files: Files = new Map()
  if (volume.configMap !== undefined) {
    const { name = '', items, optional, defaultMode = 0o644 } = volume.configMap
    const found = keyedConfigMap(await sources.configMap(name, volume.name), name, optional)
    project(found, items, optional, defaultMode, files)
  } else if (volume.secret !== undefined) {
    const { secretName = '', items, optional, defaultMode = 0o644 } = volume.secret
    const found = keyedSecret(await sources.secret(secretName, volume.name), secretName, optional)
    project(found, items, optional, defaultMode, files)
  } else if (volume.downwardAPI !== undefined) {
    downward(pod, volume.downwardAPI.items, volume.downwardAPI.defaultMode ?? 0o644, sources.place, files)
  } else if (volume.projected !== undefined) {
    const mode = volume.projected.defaultMode ?? 0o644
    for (const source of volume.projected.sources ?? []) {
      await addProjection(pod, volume.name, source, mode, sources, files)
    }
  } else {
    return undefined
  }
  const size = [...files.values()].reduce((sum, file) => sum + file.content.length, 0)
  if (size > maxVolumeBytes) throw new Error(`the volume holds ${size} bytes, more than ${maxVolumeBytes}`)
  return withGroup(pod, files)
}

async function addProjection(
  pod: Pod,
  volume: string,
  source: VolumeProjection,
  mode: number,
  sources: ContentSources,
  files: Files,
): Promise<void> {
  if (source.configMap !== undefined) {
    const { name = '', items, optional } = source.configMap
    project(
      keyedConfigMap(await sources.configMap(name, volume), name, optional),
      items,
      optional,
      mode,
      files,
    )
  } else if (source.secret !== undefined) {
    const { name = '', items, optional } = source.secret
    project(keyedSecret(await sources.secret(name, volume), name, optional), items, optional, mode, files)
  } else if (source.downwardAPI !== undefined) {
    downward(pod, source.downwardAPI.items, mode, sources.place, files)
  } else if (source.serviceAccountToken !== undefined) {
    const { audience, expirationSeconds = 3600, path } = source.serviceAccountToken
    const text = await sources.token({ audience: audience || undefined, expirationSeconds })
    // Readable for whoever the containers run as, as kubelet does it for pods with a user of their own.
    files.set(path, {
      content: Buffer.from(text),
      mode: pod.spec.securityContext?.fsGroup === undefined ? mode : 0o600,
    })
  } else {
    throw new Error('the projected volume has a source that this node does not know')
  }
}

function keyedConfigMap(found: ConfigMap | undefined, name: string, optional?: boolean): Keyed {
  if (found === undefined && optional !== true) throw new Error(`configmap "${name}" not found`)
  const content = new Map<string, Uint8Array>()
  for (const [key, text] of Object.entries(found?.data ?? {})) content.set(key, Buffer.from(text, 'utf8'))
  for (const [key, text] of Object.entries(found?.binaryData ?? {}))
    content.set(key, Buffer.from(text, 'base64'))
  return { content, kind: 'configmap' }
}

function keyedSecret(found: Secret | undefined, name: string, optional?: boolean): Keyed {
  if (found === undefined && optional !== true) throw new Error(`secret "${name}" not found`)
  const content = new Map<string, Uint8Array>()
  for (const [key, text] of Object.entries(found?.data ?? {})) content.set(key, Buffer.from(text, 'base64'))
  return { content, kind: 'secret' }
}

function project(
  source: Keyed,
  items: readonly KeyToPath[] | undefined,
  optional: boolean | undefined,
  defaultMode: number,
  files: Files,
): void {
  if (items === undefined || items.length === 0) {
    for (const [key, content] of source.content) files.set(key, { content, mode: defaultMode })
    return
  }
  for (const { key, path, mode } of items) {
    const content = source.content.get(key)
    if (content !== undefined) files.set(path, { content, mode: mode ?? defaultMode })
    else if (optional !== true)
      throw new Error(`references non-existent ${source.kind === 'secret' ? 'secret' : 'config'} key: ${key}`)
  }
}

function downward(
  pod: Pod,
  items: readonly DownwardAPIVolumeFile[] | undefined,
  defaultMode: number,
  place: PodPlace,
  files: Files,
): void {
  const containers: readonly Container[] = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])]
  for (const item of items ?? []) {
    const text =
      item.fieldRef !== undefined
        ? readField(pod, item.fieldRef, place)
        : item.resourceFieldRef !== undefined
          ? readResource(containers, undefined, item.resourceFieldRef, place)
          : ''
    files.set(item.path, { content: Buffer.from(text, 'utf8'), mode: item.mode ?? defaultMode })
  }
}

/** With `fsGroup` the group owns the files and may read them. */
function withGroup(pod: Pod, files: Files): Files {
  const gid = pod.spec.securityContext?.fsGroup
  if (gid === undefined) return files
  return new Map([...files].map(([name, file]) => [name, { ...file, gid, mode: file.mode | 0o440 }]))
}
