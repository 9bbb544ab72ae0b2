import {
  type Container,
  configMapKeyProblems,
  dnsSubdomainProblems,
  duplicate,
  environmentNameProblems,
  type FieldError,
  invalid,
  type LifecycleHandler,
  type Probe,
  portNameProblems,
  required,
  unsupported,
  type Volume,
} from '@outrigger/kube'

// What the API server would refuse in every pod that gets these containers, found while somebody can still mend it.

/** What is wrong with a container apart from names, mounts and resources. */
export function containerShapeErrors(path: string, container: Container): FieldError[] {
  const { image, restartPolicy, imagePullPolicy, terminationMessagePolicy } = container
  const errors: FieldError[] = []
  if (image !== undefined && image.trim() !== image)
    errors.push(invalid(`${path}.image`, image, 'must not have leading or trailing whitespace'))
  if (restartPolicy && path.startsWith('spec.containers'))
    errors.push({
      type: 'forbidden',
      field: `${path}.restartPolicy`,
      detail: 'may not be set for non-init containers',
    })
  else errors.push(...choiceErrors(`${path}.restartPolicy`, restartPolicy, ['Always']))
  errors.push(
    ...choiceErrors(`${path}.imagePullPolicy`, imagePullPolicy, ['Always', 'IfNotPresent', 'Never']),
    ...choiceErrors(`${path}.terminationMessagePolicy`, terminationMessagePolicy, [
      'File',
      'FallbackToLogsOnError',
    ]),
    ...portErrors(path, container),
    ...environmentErrors(path, container),
    ...environmentSourceErrors(path, container),
    ...deviceErrors(path, container),
    ...probeErrors(path, container),
  )
  for (const moment of ['postStart', 'preStop'] as const) {
    const handler = container.lifecycle?.[moment]
    if (handler) errors.push(...handlerErrors(`${path}.lifecycle.${moment}`, handler))
  }
  return errors
}

function choiceErrors(field: string, value: string | undefined, choices: string[]): FieldError[] {
  return value === undefined || value === '' || choices.includes(value)
    ? []
    : [unsupported(field, value, choices)]
}

function portErrors(path: string, { ports = [] }: Container): FieldError[] {
  const names = new Set<string>()
  return ports.flatMap(({ name, containerPort, hostPort, protocol }, i) => {
    const at = `${path}.ports[${i}]`
    const errors = choiceErrors(`${at}.protocol`, protocol, ['TCP', 'UDP', 'SCTP'])
    if (name) {
      for (const problem of portNameProblems(name)) errors.push(invalid(`${at}.name`, name, problem))
      if (names.has(name)) errors.push(duplicate(`${at}.name`, name))
      names.add(name)
    }
    if (!containerPort) errors.push(required(`${at}.containerPort`))
    for (const [field, port] of [
      ['containerPort', containerPort],
      ['hostPort', hostPort],
    ] as const)
      if (port && (port < 1 || port > 65_535))
        errors.push(invalid(`${at}.${field}`, port, 'must be between 1 and 65535, inclusive'))
    return errors
  })
}

function environmentErrors(path: string, { env = [] }: Container): FieldError[] {
  return env.flatMap(({ name, value, valueFrom }, i) => {
    const at = `${path}.env[${i}]`
    if (!name) return [required(`${at}.name`)]
    const errors = environmentNameProblems(name).map((problem) => invalid(`${at}.name`, name, problem))
    if (!valueFrom) return errors
    if (value) errors.push(invalid(`${at}.valueFrom`, '', 'may not be specified when `value` is not empty'))
    const sources = Object.values(valueFrom).filter((source) => source !== undefined && source !== null)
    if (sources.length !== 1)
      errors.push(invalid(`${at}.valueFrom`, '', 'must specify exactly one source of the value'))
    for (const field of ['configMapKeyRef', 'secretKeyRef'] as const) {
      const reference = valueFrom[field]
      if (!reference) continue
      errors.push(...objectNameErrors(`${at}.valueFrom.${field}.name`, reference.name))
      if (!reference.key) errors.push(required(`${at}.valueFrom.${field}.key`))
      else
        for (const problem of configMapKeyProblems(reference.key))
          errors.push(invalid(`${at}.valueFrom.${field}.key`, reference.key, problem))
    }
    return errors
  })
}

function environmentSourceErrors(path: string, { envFrom = [] }: Container): FieldError[] {
  return envFrom.flatMap((source, i) =>
    (['configMapRef', 'secretRef'] as const).flatMap((field) => {
      const reference = source[field]
      return reference ? objectNameErrors(`${path}.envFrom[${i}].${field}.name`, reference.name) : []
    }),
  )
}

/** Kubernetes looks at the names in variables, and so lets no namespace stand before them; those in volumes it leaves alone. */
function objectNameErrors(field: string, name: string | undefined): FieldError[] {
  if (!name) return [required(field)]
  if (name.includes('/'))
    return [
      invalid(
        field,
        name,
        'must be a name in the namespace of the pod: Kubernetes refuses pods with namespace/name in variables; mount the object as a volume of the SidecarSet instead',
      ),
    ]
  return dnsSubdomainProblems(name).map((problem) => invalid(field, name, problem))
}

function deviceErrors(path: string, { volumeDevices = [], volumeMounts = [] }: Container): FieldError[] {
  const taken = new Set(volumeMounts.map(({ mountPath }) => mountPath))
  return volumeDevices.flatMap(({ name, devicePath }, i) => {
    const at = `${path}.volumeDevices[${i}]`
    const errors: FieldError[] = []
    if (!name) errors.push(required(`${at}.name`))
    if (!devicePath) errors.push(required(`${at}.devicePath`))
    else if (taken.has(devicePath)) errors.push(invalid(`${at}.devicePath`, devicePath, 'must be unique'))
    taken.add(devicePath)
    return errors
  })
}

function probeErrors(path: string, container: Container): FieldError[] {
  return (['livenessProbe', 'readinessProbe', 'startupProbe'] as const).flatMap((kind) => {
    const probe = container[kind]
    if (!probe) return []
    const at = `${path}.${kind}`
    const errors = handlerErrors(at, probe)
    for (const field of counts) {
      const value = probe[field]
      if (value !== undefined && value < 0)
        errors.push(invalid(`${at}.${field}`, value, 'must be greater than or equal to 0'))
    }
    if (kind !== 'readinessProbe' && (probe.successThreshold ?? 0) > 1)
      errors.push(invalid(`${at}.successThreshold`, probe.successThreshold, 'must be 1'))
    return errors
  })
}

const counts = [
  'initialDelaySeconds',
  'timeoutSeconds',
  'periodSeconds',
  'successThreshold',
  'failureThreshold',
] as const

function handlerErrors(path: string, handler: LifecycleHandler | Probe): FieldError[] {
  const kinds = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep'] as const
  const given = kinds.filter((kind) => {
    const value: unknown = (handler as Partial<Record<(typeof kinds)[number], unknown>>)[kind]
    return value !== undefined && value !== null
  })
  if (given.length === 0) return [required(path, 'must specify a handler type')]
  if (given.length > 1)
    return [
      { type: 'forbidden', field: `${path}.${given[1]}`, detail: 'may not specify more than 1 handler type' },
    ]
  const { exec, httpGet, tcpSocket } = handler
  const errors: FieldError[] = []
  if (exec && !exec.command?.length) errors.push(required(`${path}.exec.command`))
  if (httpGet && !httpGet.port) errors.push(required(`${path}.httpGet.port`))
  if (tcpSocket && !tcpSocket.port) errors.push(required(`${path}.tcpSocket.port`))
  return errors
}

/** What is wrong with a volume's source: there must be one and no other. */
export function volumeSourceErrors(path: string, volume: Volume): FieldError[] {
  const sources = Object.entries(volume).filter(
    ([key, source]) => key !== 'name' && source !== undefined && source !== null,
  )
  const [, second] = sources
  if (sources.length === 0) return [required(path, 'must specify a volume type')]
  if (second === undefined) return []
  return [
    { type: 'forbidden', field: `${path}.${second[0]}`, detail: 'may not specify more than 1 volume type' },
  ]
}
