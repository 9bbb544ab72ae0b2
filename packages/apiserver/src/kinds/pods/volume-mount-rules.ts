import { type Container, forbidden, invalid, required, type Volume, type VolumeMount } from '@outrigger/kube'
import { type Errors, notFoundValue, notSupported } from '../field-checks.ts'

const propagations = ['Bidirectional', 'HostToContainer', 'None']

/** Mounts and block devices of a container; each must name a volume of the pod. */
export function checkVolumeMounts(
  errors: Errors,
  at: string,
  container: Container,
  volumes: ReadonlyMap<string, Volume>,
): void {
  const mounts = container.volumeMounts ?? []
  const devices = container.volumeDevices ?? []
  const paths = new Set<string>()
  for (let index = 0; index < mounts.length; index++) {
    const mount = mounts[index] as VolumeMount
    const path = `${at}.volumeMounts[${index}]`
    if (!mount.name) errors.push(required(`${path}.name`))
    if (!volumes.has(mount.name)) errors.push(notFoundValue(`${path}.name`, mount.name))
    if (!mount.mountPath) errors.push(required(`${path}.mountPath`))
    if (paths.has(mount.mountPath))
      errors.push(invalid(`${path}.mountPath`, mount.mountPath, 'must be unique'))
    paths.add(mount.mountPath)
    if (devices.some((device) => device.name === mount.name))
      errors.push(invalid(`${path}.name`, mount.name, 'must not already exist in volumeDevices'))
    if (mount.subPath) checkDescendingPath(errors, `${path}.subPath`, mount.subPath)
    if (mount.subPathExpr) {
      if (mount.subPath)
        errors.push(
          invalid(`${path}.subPathExpr`, mount.subPathExpr, 'subPathExpr and subPath are mutually exclusive'),
        )
      checkDescendingPath(errors, `${path}.subPathExpr`, mount.subPathExpr)
    }
    if (mount.mountPropagation !== undefined) checkPropagation(errors, path, mount, container)
  }
  devices.forEach((device, index) => {
    const path = `${at}.volumeDevices[${index}]`
    if (!device.name) errors.push(required(`${path}.name`))
    const volume = volumes.get(device.name)
    if (volume === undefined) errors.push(notFoundValue(`${path}.name`, device.name))
    else if (volume.persistentVolumeClaim === undefined && volume.ephemeral === undefined)
      errors.push(
        invalid(
          `${path}.name`,
          device.name,
          'can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode',
        ),
      )
    if (!device.devicePath) errors.push(required(`${path}.devicePath`))
  })
}

function checkPropagation(errors: Errors, path: string, mount: VolumeMount, container: Container): void {
  const mode = mount.mountPropagation as string
  if (!propagations.includes(mode)) errors.push(notSupported(`${path}.mountPropagation`, mode, propagations))
  else if (mode === 'Bidirectional' && container.securityContext?.privileged !== true)
    errors.push(
      forbidden(
        `${path}.mountPropagation`,
        'Bidirectional mount propagation is available only to privileged containers',
      ),
    )
}

/** A path that stays below where it is taken from. */
export function checkDescendingPath(errors: Errors, field: string, path: string): void {
  if (path.startsWith('/')) errors.push(invalid(field, path, 'must be a relative path'))
  checkNoBacksteps(errors, field, path)
}

/** A path without a `..` part. */
export function checkNoBacksteps(errors: Errors, field: string, path: string): void {
  if (path.includes('..') && path.split('/').includes('..'))
    errors.push(invalid(field, path, "must not contain '..'"))
}
