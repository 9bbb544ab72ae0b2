import { isHotUpgrade, managedSidecars, type SidecarSet } from '@outrigger/api'
import { UserError } from '@outrigger/foundation'
import { type KubeObject, type ResourceRef, resources } from '@outrigger/kube'
import { isSidecarSet, storedSidecarSet } from '../manifests/cluster-picture.ts'
import { type Manifest, namesOf } from '../manifests/manifest-files.ts'
import type { Probe } from './client-script.ts'

/** What is put on trial. */
export interface TrialRequest {
  readonly sidecarSet: SidecarSet
  readonly container: string
  readonly from: string
  readonly to: string
  readonly emptyImage: string
  /** What the sidecar may mount. */
  readonly companions: readonly { readonly resource: ResourceRef; readonly object: KubeObject }[]
}

export interface TrialWishes {
  readonly filename: readonly string[]
  readonly container?: string
  readonly from?: string
  readonly to: string
}

/** @throws UserError where the manifests leave open what to try, or there is nothing to upgrade hot. */
export function trialRequest(manifests: readonly Manifest[], wishes: TrialWishes): TrialRequest {
  const files = namesOf(wishes.filename)
  const [manifest, ...others] = manifests.filter(isSidecarSet)
  if (manifest === undefined)
    throw new UserError(`there is no SidecarSet in ${files}`, 'name its file with -f')
  if (others.length > 0)
    throw new UserError(`there are ${others.length + 1} SidecarSets in ${files}`, 'try one at a time')
  const sidecarSet = storedSidecarSet(manifest)
  const sidecar = hotSidecar(sidecarSet, wishes.container)
  const { name: container } = sidecar
  const { to, from = sidecar.image ?? '' } = wishes
  const emptyImage = sidecar.upgradeStrategy?.hotUpgradeEmptyImage ?? ''
  if (from === '')
    throw new UserError(`container ${container} names no image`, 'give the first one with --from')
  if (from === to)
    throw new UserError(`${to} is what container ${container} begins with`, 'name another image with --to')
  if ([from, to].includes(emptyImage))
    throw new UserError(
      `${emptyImage} is the empty image of container ${container}`,
      'name images that serve',
    )
  return { sidecarSet, container, from, to, emptyImage, companions: companionsIn(manifests) }
}

function hotSidecar(sidecarSet: SidecarSet, wish: string | undefined) {
  const hot = managedSidecars(sidecarSet)
    .map(({ sidecar }) => sidecar)
    .filter(isHotUpgrade)
  const names = hot.map(({ name }) => name).join(', ')
  const [first] = hot
  const { name } = sidecarSet.metadata
  if (first === undefined)
    throw new UserError(
      `no container of SidecarSet ${name} is upgraded hot`,
      'set upgradeStrategy.upgradeType to HotUpgrade',
    )
  if (wish === undefined && hot.length > 1)
    throw new UserError(
      `SidecarSet ${name} upgrades several containers hot: ${names}`,
      'choose with --container',
    )
  const found = wish === undefined ? first : hot.find((sidecar) => sidecar.name === wish)
  if (found !== undefined) return found
  throw new UserError(`SidecarSet ${name} does not upgrade a container ${wish} hot`, `it does ${names}`)
}

function companionsIn(manifests: readonly Manifest[]): TrialRequest['companions'] {
  const known: Readonly<Record<string, ResourceRef>> = {
    ConfigMap: resources.configMaps,
    Secret: resources.secrets,
  }
  return manifests.flatMap(({ object }) => {
    const resource = object.apiVersion === 'v1' ? known[object.kind] : undefined
    return resource === undefined ? [] : [{ resource, object }]
  })
}

export interface ProbeWishes {
  readonly url?: URL
  readonly tcp?: number
  readonly exec?: string
}

/** @throws UserError unless there is exactly one wish. */
export function probeOf({ url, tcp, exec }: ProbeWishes): Probe {
  const probes: Probe[] = []
  if (url !== undefined) probes.push({ kind: 'url', url })
  if (tcp !== undefined) probes.push({ kind: 'tcp', port: tcp })
  if (exec !== undefined) probes.push({ kind: 'exec', command: exec })
  const [probe, ...others] = probes
  if (probe !== undefined && others.length === 0) return probe
  throw new UserError(
    `what the client asks for is ${probe === undefined ? 'missing' : 'given more than once'}`,
    'give one of --url, --tcp and --exec',
  )
}

/** @throws UserError that names the flag. */
export function parseUrl(flag: string): (text: string) => URL {
  return (text) => {
    if (URL.canParse(text)) {
      const url = new URL(text)
      if (['http:', 'https:'].includes(url.protocol)) return url
    }
    throw new UserError(
      `${flag} ${text} is not a URL of HTTP`,
      `give one as the pod sees it, such as ${flag} http://127.0.0.1:8080/`,
    )
  }
}
