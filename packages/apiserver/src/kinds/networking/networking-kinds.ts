import {
  type EndpointSlice,
  type Ingress,
  type IngressClass,
  invalid,
  type NetworkPolicy,
  required,
} from '@outrigger/kube'
import {
  checkImmutable,
  checkLabelSelector,
  checkName,
  checkPort,
  type Errors,
  notSupported,
} from '../field-checks.ts'
import type { KindBuilder, KindBuilders } from '../kind-definition.ts'
import { label1035Problems, subdomainProblems, wildcardProblems } from '../name-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'

type IngressSpec = NonNullable<Ingress['spec']>
type Backend = NonNullable<IngressSpec['defaultBackend']>
const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix']

const ingressKind: KindBuilder = (schema) => {
  const strategy = createStrategy<Ingress>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    initialStatus: () => ({ loadBalancer: {} }),
    validate: ingressErrors,
    warnings: ({ metadata }) =>
      metadata.annotations?.['kubernetes.io/ingress.class'] === undefined
        ? []
        : [
            'annotation "kubernetes.io/ingress.class" is deprecated, please use \'spec.ingressClassName\' instead',
          ],
  })
  return { strategy, status: createStatusStrategy<Ingress>(strategy) }
}

function ingressErrors({ spec }: Ingress): Errors {
  const errors: Errors = []
  if ((spec?.rules ?? []).length === 0 && spec?.defaultBackend === undefined)
    errors.push(invalid('spec', spec?.rules ?? [], 'either `defaultBackend` or `rules` must be specified'))
  if (spec === undefined) return errors
  spec.tls?.forEach(({ hosts }, index) => {
    hosts?.forEach((host, number) => {
      checkName(
        errors,
        `spec.tls[${index}].hosts[${number}]`,
        host,
        host.includes('*') ? wildcardProblems : subdomainProblems,
      )
    })
  })
  if (spec.defaultBackend !== undefined) checkBackend(errors, 'spec.defaultBackend', spec.defaultBackend)
  spec.rules?.forEach((rule, index) => {
    const at = `spec.rules[${index}]`
    if (rule.host)
      checkName(
        errors,
        `${at}.host`,
        rule.host,
        rule.host.includes('*') ? wildcardProblems : subdomainProblems,
      )
    if (rule.http === undefined) return
    const paths = rule.http.paths ?? []
    if (paths.length === 0) errors.push(required(`${at}.http.paths`))
    paths.forEach((path, number) => void checkPath(errors, `${at}.http.paths[${number}]`, path))
  })
  if (spec.ingressClassName !== undefined)
    checkName(errors, 'spec.ingressClassName', spec.ingressClassName, subdomainProblems)
  return errors
}

interface HttpPath {
  readonly path?: string
  readonly pathType?: string
  readonly backend: Backend
}

function checkPath(errors: Errors, at: string, { path = '', pathType, backend }: HttpPath): void {
  if (!pathType) {
    errors.push(required(`${at}.pathType`, 'pathType must be specified'))
    return
  }
  if (!pathTypes.includes(pathType)) {
    errors.push(notSupported(`${at}.pathType`, pathType, pathTypes))
    return
  }
  if (pathType !== 'ImplementationSpecific' || path !== '') {
    if (!path.startsWith('/')) errors.push(invalid(`${at}.path`, path, 'must be an absolute path'))
    if (pathType !== 'ImplementationSpecific')
      for (const part of ['//', '/./', '/../', '%2f', '%2F'])
        if (path.includes(part)) errors.push(invalid(`${at}.path`, path, `must not contain '${part}'`))
  }
  checkBackend(errors, `${at}.backend`, backend)
}

function checkBackend(errors: Errors, at: string, { service, resource }: Backend): void {
  if (service === undefined && resource === undefined) {
    errors.push(required(at, 'resource or service backend is required'))
    return
  }
  if (service !== undefined && resource !== undefined)
    errors.push(invalid(at, '', 'cannot set both resource and service backends'))
  if (service === undefined) return
  if (!service.name) errors.push(required(`${at}.service.name`))
  else checkName(errors, `${at}.service.name`, service.name, label1035Problems)
  const { name, number } = service.port ?? {}
  if (name && number) errors.push(invalid(at, '', 'cannot set both port name & port number'))
  else if (!name && !number) errors.push(required(at, 'port name or number is required'))
  else if (number) checkPort(errors, `${at}.service.port.number`, number)
}

const ingressClassKind: KindBuilder = (schema) => ({
  strategy: createStrategy<IngressClass>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    applyDefaults({ spec }) {
      if (spec?.parameters !== undefined) spec.parameters.scope ??= 'Cluster'
    },
    validateUpdate({ spec }, old) {
      const errors: Errors = []
      checkImmutable(errors, 'spec.controller', spec?.controller, spec?.controller === old.spec?.controller)
      return errors
    },
  }),
})

const networkPolicyKind: KindBuilder = (schema) => ({
  strategy: createStrategy<NetworkPolicy>({
    schema,
    tracksGeneration: true,
    generationFields: ['spec'],
    applyDefaults({ spec }) {
      if (spec === undefined) return
      for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])])
        for (const port of rule.ports ?? []) port.protocol ??= 'TCP'
      spec.policyTypes ??= (spec.egress ?? []).length > 0 ? ['Ingress', 'Egress'] : ['Ingress']
    },
    validate({ spec }) {
      const errors: Errors = []
      checkLabelSelector(errors, 'spec.podSelector', spec?.podSelector)
      for (const [field, rules] of [
        ['ingress', spec?.ingress],
        ['egress', spec?.egress],
      ] as const)
        rules?.forEach((rule, index) => {
          rule.ports?.forEach((port, number) => {
            if (typeof port.port === 'number')
              checkPort(errors, `spec.${field}[${index}].ports[${number}].port`, port.port)
          })
        })
      spec?.policyTypes?.forEach((type, index) => {
        if (type !== 'Ingress' && type !== 'Egress')
          errors.push(notSupported(`spec.policyTypes[${index}]`, type, ['Egress', 'Ingress']))
      })
      return errors
    },
  }),
})

const addressTypes = ['FQDN', 'IPv4', 'IPv6']

const endpointSliceKind: KindBuilder = (schema) => ({
  strategy: createStrategy<EndpointSlice>({
    schema,
    tracksGeneration: true,
    applyDefaults({ ports }) {
      for (const port of ports ?? []) {
        port.name ??= ''
        port.protocol ??= 'TCP'
      }
    },
    validate({ addressType, endpoints, ports }) {
      const errors: Errors = []
      if (!addressType) errors.push(required('addressType'))
      else if (!addressTypes.includes(addressType))
        errors.push(notSupported('addressType', addressType, addressTypes))
      endpoints?.forEach(({ addresses }, index) => {
        if ((addresses ?? []).length === 0)
          errors.push(required(`endpoints[${index}].addresses`, 'must contain at least 1 address'))
        else if ((addresses ?? []).length > 100)
          errors.push({
            type: 'too-many',
            field: `endpoints[${index}].addresses`,
            value: addresses.length,
            detail: 'must have at most 100 items',
          })
      })
      const names = new Set<string>()
      ports?.forEach(({ name = '' }, index) => {
        if (names.has(name))
          errors.push({ type: 'duplicate', field: `ports[${index}].name`, value: name, detail: '' })
        names.add(name)
      })
      return errors
    },
    validateUpdate(slice, old) {
      const errors: Errors = []
      checkImmutable(errors, 'addressType', slice.addressType, slice.addressType === old.addressType)
      return errors
    },
  }),
})

/** What reaches pods from where. */
export const networkingKinds: KindBuilders = {
  'networking.k8s.io/v1/ingresses': ingressKind,
  'networking.k8s.io/v1/ingressclasses': ingressClassKind,
  'networking.k8s.io/v1/networkpolicies': networkPolicyKind,
  'discovery.k8s.io/v1/endpointslices': endpointSliceKind,
}
