import type { Container, Lifecycle, Probe, Volume } from '@outrigger/kube'
import { sidecarSetAnnotations } from './names.ts'
import { roundedUpToMilli } from './rounded-quantity.ts'
import type { SidecarContainer, SidecarSet, SidecarSetSpec, TransferEnv } from './sidecar-set.ts'
import { sidecarSetHashes } from './sidecar-set-hash.ts'

/**
 * A SidecarSet as admission stores it: defaults filled in, both hash annotations fresh. The argument
 * stays as it is; what needed no default is shared with it. Applying it twice changes nothing.
 */
export function defaultSidecarSet(sidecarSet: SidecarSet): SidecarSet {
  const spec = withDefaults(withoutNulls(sidecarSet.spec ?? {}) as SidecarSetSpec)
  const { hash, hashWithoutImage } = sidecarSetHashes(spec)
  const annotations = {
    ...sidecarSet.metadata.annotations,
    [sidecarSetAnnotations.hash]: hash,
    [sidecarSetAnnotations.hashWithoutImage]: hashWithoutImage,
  }
  return { ...sidecarSet, metadata: { ...sidecarSet.metadata, annotations }, spec }
}

/** A field that is null is a field that is not there. The very value given if it holds no null. */
function withoutNulls(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) {
    const items = value.map(withoutNulls)
    return items.some((item, i) => item !== value[i]) ? items : value
  }
  const entries = Object.entries(value)
  const kept = entries
    .filter(([, field]) => field !== null)
    .map(([key, field]) => [key, withoutNulls(field)] as const)
  const isSame = kept.length === entries.length && kept.every(([, field], i) => field === entries[i]?.[1])
  return isSame ? value : Object.fromEntries(kept)
}

/** A spec with the defaults OpenKruise fills in, and no more: hashes are computed from the result. */
export function withDefaults(spec: SidecarSetSpec): SidecarSetSpec {
  const updateStrategy = spec.updateStrategy ?? {}
  const revision = spec.injectionStrategy?.revision
  return {
    ...spec,
    updateStrategy: {
      ...updateStrategy,
      type: updateStrategy.type || 'RollingUpdate',
      maxUnavailable: updateStrategy.maxUnavailable ?? 1,
      partition: updateStrategy.partition ?? 0,
    },
    ...(spec.initContainers && {
      initContainers: spec.initContainers.map((container) =>
        defaultSidecarContainer(container, 'AfterAppContainer'),
      ),
    }),
    ...(spec.containers && {
      containers: spec.containers.map((container) =>
        defaultSidecarContainer(container, 'BeforeAppContainer'),
      ),
    }),
    ...(spec.volumes && { volumes: spec.volumes.map(defaultVolume) }),
    revisionHistoryLimit: spec.revisionHistoryLimit ?? 10,
    ...(spec.patchPodMetadata && {
      patchPodMetadata: spec.patchPodMetadata.map((patch) => ({
        ...patch,
        patchPolicy: patch.patchPolicy || 'Retain',
      })),
    }),
    ...(revision && {
      injectionStrategy: {
        ...spec.injectionStrategy,
        revision: { ...revision, policy: revision.policy || 'Always' },
      },
    }),
  }
}

function defaultSidecarContainer(
  container: SidecarContainer,
  placement: NonNullable<SidecarContainer['podInjectPolicy']>,
): SidecarContainer {
  return {
    ...defaultContainer(container),
    podInjectPolicy: container.podInjectPolicy || placement,
    upgradeStrategy: {
      ...container.upgradeStrategy,
      upgradeType: container.upgradeStrategy?.upgradeType || 'ColdUpgrade',
    },
    shareVolumePolicy: {
      ...container.shareVolumePolicy,
      type: container.shareVolumePolicy?.type || 'disabled',
    },
    ...(container.transferEnv && { transferEnv: container.transferEnv.map(defaultTransferEnv) }),
  }
}

function defaultTransferEnv(transfer: TransferEnv): TransferEnv {
  const fieldRef = transfer.sourceContainerNameFrom?.fieldRef
  if (!fieldRef || fieldRef.apiVersion) return transfer
  return { ...transfer, sourceContainerNameFrom: { fieldRef: { ...fieldRef, apiVersion: 'v1' } } }
}

function defaultContainer<T extends Container>(container: T): T {
  return {
    ...container,
    imagePullPolicy: container.imagePullPolicy || defaultPullPolicy(container.image ?? ''),
    terminationMessagePath: container.terminationMessagePath || '/dev/termination-log',
    terminationMessagePolicy: container.terminationMessagePolicy || 'File',
    ...(container.ports && {
      ports: container.ports.map((port) => ({ ...port, protocol: port.protocol || 'TCP' })),
    }),
    ...(container.env && {
      env: container.env.map((variable) => {
        const fieldRef = variable.valueFrom?.fieldRef
        if (!fieldRef || fieldRef.apiVersion) return variable
        return {
          ...variable,
          valueFrom: { ...variable.valueFrom, fieldRef: { ...fieldRef, apiVersion: 'v1' } },
        }
      }),
    }),
    ...(container.resources && { resources: roundResources(container.resources) }),
    ...(container.livenessProbe && { livenessProbe: defaultProbe(container.livenessProbe) }),
    ...(container.readinessProbe && { readinessProbe: defaultProbe(container.readinessProbe) }),
    ...(container.lifecycle && { lifecycle: defaultLifecycle(container.lifecycle) }),
  }
}

/** A registry, then lowercase parts of a path, a tag, a digest: the grammar of image references. */
const imagePart = '[a-z0-9]+(?:(?:\\.|_{1,2}|-+)[a-z0-9]+)*'
const imageReference = new RegExp(
  `^(?:[^\\s/@]+/)?(?:${imagePart}/)*${imagePart}(?::([\\w][\\w.-]{0,127}))?(@\\S+)?$`,
)

/** `Always` for a moving tag, `IfNotPresent` for a fixed one, a digest, or what is no image name. */
function defaultPullPolicy(image: string): 'Always' | 'IfNotPresent' {
  const reference = imageReference.exec(image)
  if (reference === null) return 'IfNotPresent'
  const [, tag, digest] = reference
  if (tag === 'latest') return 'Always'
  return tag === undefined && digest === undefined ? 'Always' : 'IfNotPresent'
}

function roundResources(resources: NonNullable<Container['resources']>): typeof resources {
  const rounded = { ...resources }
  for (const side of ['limits', 'requests'] as const) {
    const quantities = resources[side]
    if (!quantities) continue
    rounded[side] = Object.fromEntries(
      Object.entries(quantities).map(([name, quantity]) => [name, roundedUpToMilli(quantity)]),
    )
  }
  return rounded
}

function defaultProbe(probe: Probe): Probe {
  return {
    ...probe,
    timeoutSeconds: probe.timeoutSeconds || 1,
    periodSeconds: probe.periodSeconds || 10,
    successThreshold: probe.successThreshold || 1,
    failureThreshold: probe.failureThreshold || 3,
    ...(probe.httpGet && { httpGet: defaultHttpGet(probe.httpGet) }),
  }
}

function defaultLifecycle(lifecycle: Lifecycle): Lifecycle {
  const defaulted = { ...lifecycle }
  for (const moment of ['postStart', 'preStop'] as const) {
    const handler = lifecycle[moment]
    if (handler?.httpGet) defaulted[moment] = { ...handler, httpGet: defaultHttpGet(handler.httpGet) }
  }
  return defaulted
}

function defaultHttpGet<T extends NonNullable<Probe['httpGet']>>(httpGet: T): T {
  return { ...httpGet, path: httpGet.path || '/', scheme: httpGet.scheme || 'HTTP' }
}

const mode = 420

function defaultVolume(volume: Volume): Volume {
  const hasSource = Object.keys(volume).some(
    (key) =>
      key !== 'name' && volume[key as keyof Volume] !== undefined && volume[key as keyof Volume] !== null,
  )
  if (!hasSource) return { ...volume, emptyDir: {} }
  const defaulted: Volume = { ...volume }
  if (volume.hostPath) defaulted.hostPath = { ...volume.hostPath, type: volume.hostPath.type ?? '' }
  if (volume.secret) defaulted.secret = { ...volume.secret, defaultMode: volume.secret.defaultMode ?? mode }
  if (volume.configMap)
    defaulted.configMap = { ...volume.configMap, defaultMode: volume.configMap.defaultMode ?? mode }
  if (volume.downwardAPI) {
    defaulted.downwardAPI = {
      ...defaultDownward(volume.downwardAPI),
      defaultMode: volume.downwardAPI.defaultMode ?? mode,
    }
  }
  if (volume.projected) {
    defaulted.projected = {
      ...volume.projected,
      defaultMode: volume.projected.defaultMode ?? mode,
      ...(volume.projected.sources && {
        sources: volume.projected.sources.map((source) => ({
          ...source,
          ...(source.downwardAPI && { downwardAPI: defaultDownward(source.downwardAPI) }),
          ...(source.serviceAccountToken && {
            serviceAccountToken: {
              ...source.serviceAccountToken,
              expirationSeconds: source.serviceAccountToken.expirationSeconds ?? 3600,
            },
          }),
        })),
      }),
    }
  }
  return defaulted
}

function defaultDownward<T extends NonNullable<Volume['downwardAPI']>>(source: T): T {
  if (!source.items) return source
  return {
    ...source,
    items: source.items.map((item) =>
      item.fieldRef && !item.fieldRef.apiVersion
        ? { ...item, fieldRef: { ...item.fieldRef, apiVersion: 'v1' } }
        : item,
    ),
  }
}
