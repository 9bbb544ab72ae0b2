import { canonicalQuantity } from '@outrigger/kube'
import type { JsonValue } from './go-json.ts'
import {
  always,
  boolean,
  list,
  mapOf,
  number,
  optional,
  pointer,
  raw,
  type Shape,
  struct,
  text,
} from './typed-shape.ts'

// The field order of Kubernetes 1.32's client types, which OpenKruise's hashes are computed with. It is
// frozen: a field added here would change the hash of every SidecarSet in existence.

const quantity: Shape = {
  zero: '0',
  isEmpty: (value) => value === undefined || value === null,
  project: (value) => canonicalQuantity(value as string | number) ?? String(value),
}
const intOrString: Shape = { ...raw, zero: 0 }
const nullableText: Shape = { ...text, zero: null }

const fieldRef = struct([optional('apiVersion', text), always('fieldPath', text)])
const keyRef = struct([optional('name', text), always('key', text), pointer('optional', boolean)])
const objectRef = struct([optional('name', text), pointer('optional', boolean)])

const port = struct([
  optional('name', text),
  optional('hostPort', number),
  always('containerPort', number),
  optional('protocol', text),
  optional('hostIP', text),
])
const envFrom = struct([
  optional('prefix', text),
  pointer('configMapRef', objectRef),
  pointer('secretRef', objectRef),
])
const env = struct([
  always('name', text),
  optional('value', text),
  pointer(
    'valueFrom',
    struct([
      pointer('fieldRef', fieldRef),
      pointer(
        'resourceFieldRef',
        struct([optional('containerName', text), always('resource', text), always('divisor', quantity)]),
      ),
      pointer('configMapKeyRef', keyRef),
      pointer('secretKeyRef', keyRef),
    ]),
  ),
])
const resources = struct([
  optional('limits', mapOf(quantity)),
  optional('requests', mapOf(quantity)),
  optional('claims', list(struct([always('name', text), optional('request', text)]))),
])
const volumeMount = struct([
  always('name', text),
  optional('readOnly', boolean),
  pointer('recursiveReadOnly', text),
  always('mountPath', text),
  optional('subPath', text),
  pointer('mountPropagation', text),
  optional('subPathExpr', text),
])
const volumeDevice = struct([always('name', text), always('devicePath', text)])

const exec = struct([optional('command', list(text))])
const httpGet = struct([
  optional('path', text),
  always('port', intOrString),
  optional('host', text),
  optional('scheme', text),
  optional('httpHeaders', list(struct([always('name', text), always('value', text)]))),
])
const tcpSocket = struct([always('port', intOrString), optional('host', text)])
const probe = struct([
  pointer('exec', exec),
  pointer('httpGet', httpGet),
  pointer('tcpSocket', tcpSocket),
  pointer('grpc', struct([always('port', number), always('service', nullableText)])),
  optional('initialDelaySeconds', number),
  optional('timeoutSeconds', number),
  optional('periodSeconds', number),
  optional('successThreshold', number),
  optional('failureThreshold', number),
  pointer('terminationGracePeriodSeconds', number),
])
const handler = struct([
  pointer('exec', exec),
  pointer('httpGet', httpGet),
  pointer('tcpSocket', tcpSocket),
  pointer('sleep', struct([always('seconds', number)])),
])

const profile = struct([always('type', text), pointer('localhostProfile', text)])
const securityContext = struct([
  pointer('capabilities', struct([optional('add', list(text)), optional('drop', list(text))])),
  pointer('privileged', boolean),
  pointer(
    'seLinuxOptions',
    struct([optional('user', text), optional('role', text), optional('type', text), optional('level', text)]),
  ),
  pointer(
    'windowsOptions',
    struct([
      pointer('gmsaCredentialSpecName', text),
      pointer('gmsaCredentialSpec', text),
      pointer('runAsUserName', text),
      pointer('hostProcess', boolean),
    ]),
  ),
  pointer('runAsUser', number),
  pointer('runAsGroup', number),
  pointer('runAsNonRoot', boolean),
  pointer('readOnlyRootFilesystem', boolean),
  pointer('allowPrivilegeEscalation', boolean),
  pointer('procMount', text),
  pointer('seccompProfile', profile),
  pointer('appArmorProfile', profile),
])

const sharePolicy = struct([optional('type', text)])
const transferEnv = struct([
  optional('sourceContainerName', text),
  pointer('sourceContainerNameFrom', struct([pointer('fieldRef', fieldRef)])),
  optional('envName', text),
  optional('envNames', list(text)),
])
const expressions = struct([optional('cpu', text), optional('memory', text)])
const resourcesPolicy = struct([
  always('targetContainersMode', text),
  optional('targetContainersNameRegex', text),
  always('resourcesExpr', struct([pointer('limits', expressions), pointer('requests', expressions)])),
])

const coreFields = [
  always('name', text),
  optional('image', text),
  optional('command', list(text)),
  optional('args', list(text)),
  optional('workingDir', text),
  optional('ports', list(port)),
  optional('envFrom', list(envFrom)),
  optional('env', list(env)),
  always('resources', resources),
  optional('resizePolicy', list(struct([always('resourceName', text), always('restartPolicy', text)]))),
  pointer('restartPolicy', text),
  optional('volumeMounts', list(volumeMount)),
  optional('volumeDevices', list(volumeDevice)),
  pointer('livenessProbe', probe),
  pointer('readinessProbe', probe),
  pointer('startupProbe', probe),
  pointer('lifecycle', struct([pointer('postStart', handler), pointer('preStop', handler)])),
  optional('terminationMessagePath', text),
  optional('terminationMessagePolicy', text),
  optional('imagePullPolicy', text),
  pointer('securityContext', securityContext),
  optional('stdin', boolean),
  optional('stdinOnce', boolean),
  optional('tty', boolean),
]

const sidecarContainers = list(
  struct([
    ...coreFields,
    optional('podInjectPolicy', text),
    always(
      'upgradeStrategy',
      struct([optional('upgradeType', text), optional('hotUpgradeEmptyImage', text)]),
    ),
    always('shareVolumePolicy', sharePolicy),
    pointer('shareVolumeDevicePolicy', sharePolicy),
    optional('transferEnv', list(transferEnv)),
    pointer('resourcesPolicy', resourcesPolicy),
  ]),
)

/** SidecarContainers as Go's typed serialisation has them; an absent list is `null`. */
export function projectSidecarContainers(containers: readonly unknown[] | null | undefined): JsonValue {
  return containers === undefined || containers === null ? null : sidecarContainers.project(containers)
}
