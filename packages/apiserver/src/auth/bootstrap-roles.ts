import type { ClusterRole, ClusterRoleBinding, PolicyRule, Subject } from '@outrigger/kube'
import { rbacGroup } from './rbac.ts'

const read = 'get,list,watch'
const write = 'create,delete,deletecollection,patch,update'
const readWrite = `${read},${write}`
const scalable = ['deployments', 'replicasets', 'statefulsets']
const workloads = [...scalable, 'daemonsets']
const healthUrls = '/healthz,/livez,/readyz,/version,/version/'
const eventWriter = ['create,patch,update | ,events.k8s.io | events']

interface RoleDefaults {
  readonly name: string
  readonly labels?: Readonly<Record<string, string>>
  /** Value of the label of the roles it is put together from. */
  readonly aggregates?: string
  /** `verbs | groups | resources [| names]`, or `verbs | urls`. A leading comma is the core group. */
  readonly rules?: readonly string[]
  /** Who has it: `User x`, `Group x`, `ServiceAccount namespace/name`. Absent: no binding is made. */
  readonly subjects?: readonly string[]
}

const withSuffix = (resources: readonly string[], suffix: string) =>
  resources.map((resource) => `${resource}/${suffix}`)

/** The roles that every Kubernetes 1.36 has and that mean something to this server. */
const roleDefaults: readonly RoleDefaults[] = [
  { name: 'cluster-admin', rules: ['* | * | *', '* | *'], subjects: ['Group system:masters'] },
  {
    name: 'system:discovery',
    rules: [`get | /api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/`],
    subjects: ['Group system:authenticated'],
  },
  {
    name: 'system:basic-user',
    rules: [
      'create | authorization.k8s.io | selfsubjectaccessreviews,selfsubjectrulesreviews',
      'create | authentication.k8s.io | selfsubjectreviews',
    ],
    subjects: ['Group system:authenticated'],
  },
  {
    name: 'system:public-info-viewer',
    rules: [`get | ${healthUrls}`],
    subjects: ['Group system:authenticated', 'Group system:unauthenticated'],
  },
  {
    name: 'system:monitoring',
    rules: [
      'get | /healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*,/flagz,/statusz',
    ],
    subjects: ['Group system:monitoring'],
  },
  { name: 'admin', aggregates: 'admin' },
  { name: 'edit', aggregates: 'edit', labels: aggregateTo('admin') },
  { name: 'view', aggregates: 'view', labels: aggregateTo('edit') },
  {
    name: 'system:aggregate-to-admin',
    labels: aggregateTo('admin'),
    rules: [
      'create | authorization.k8s.io | localsubjectaccessreviews',
      `${readWrite} | ${rbacGroup} | rolebindings,roles`,
    ],
  },
  {
    name: 'system:aggregate-to-edit',
    labels: aggregateTo('edit'),
    rules: [
      `${read} | , | pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy`,
      'impersonate | , | serviceaccounts',
      `${write} | , | pods,pods/attach,pods/exec,pods/portforward,pods/proxy`,
      'create | , | pods/eviction',
      `${write} | , | configmaps,events,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy`,
      'create | , | serviceaccounts/token',
      `${write} | apps | ${[...workloads, 'deployments/rollback', ...withSuffix(scalable, 'scale')].join()}`,
      `${write} | autoscaling | horizontalpodautoscalers`,
      `${write} | batch | cronjobs,jobs`,
      `${write} | policy | poddisruptionbudgets`,
      `${write} | networking.k8s.io | ingresses,networkpolicies`,
      `${readWrite} | coordination.k8s.io | leases`,
      `${write} | resource.k8s.io | resourceclaims,resourceclaimtemplates`,
    ],
  },
  {
    name: 'system:aggregate-to-view',
    labels: aggregateTo('view'),
    rules: [
      `${read} | , | configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status`,
      `${read} | , | bindings,events,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status`,
      `${read} | , | namespaces`,
      `${read} | discovery.k8s.io | endpointslices`,
      `${read} | apps | ${['controllerrevisions', ...workloads, ...withSuffix(scalable, 'scale'), ...withSuffix(workloads, 'status')].join()}`,
      `${read} | autoscaling | horizontalpodautoscalers,horizontalpodautoscalers/status`,
      `${read} | batch | cronjobs,cronjobs/status,jobs,jobs/status`,
      `${read} | policy | poddisruptionbudgets,poddisruptionbudgets/status`,
      `${read} | networking.k8s.io | ingresses,ingresses/status,networkpolicies`,
      `${read} | resource.k8s.io | resourceclaims,resourceclaims/status,resourceclaimtemplates`,
    ],
  },
  {
    name: 'system:node',
    rules: [
      'create | authentication.k8s.io | tokenreviews',
      'create | authorization.k8s.io | localsubjectaccessreviews,subjectaccessreviews',
      `${read} | , | services`,
      'create,get,list,watch | , | nodes',
      'patch,update | , | nodes/status',
      'patch,update | , | nodes',
      ...eventWriter,
      'create,delete,get,list,watch | , | pods',
      'patch,update | , | pods/status',
      'create | , | pods/eviction',
      `${read} | , | configmaps,secrets`,
      'get | , | persistentvolumeclaims,persistentvolumes',
      'create | , | serviceaccounts/token',
      'create,get,list,watch | certificates.k8s.io | certificatesigningrequests',
      'create,delete,get,patch,update | coordination.k8s.io | leases',
      `${read} | node.k8s.io | runtimeclasses`,
    ],
    subjects: [],
  },
  {
    name: 'system:kubelet-api-admin',
    rules: [
      `${read} | , | nodes`,
      'proxy | , | nodes',
      '* | , | nodes/configz,nodes/healthz,nodes/log,nodes/metrics,nodes/pods,nodes/proxy,nodes/stats',
    ],
  },
  {
    name: 'system:node-bootstrapper',
    rules: ['create,get,list,watch | certificates.k8s.io | certificatesigningrequests'],
  },
  {
    name: 'system:node-problem-detector',
    rules: ['get | , | nodes', 'patch | , | nodes/status', ...eventWriter],
  },
  {
    name: 'system:node-proxier',
    rules: [
      'list,watch | , | endpoints,services',
      'get,list,watch | , | nodes',
      'list,watch | discovery.k8s.io | endpointslices',
      ...eventWriter,
    ],
    subjects: ['User system:kube-proxy'],
  },
  {
    name: 'system:auth-delegator',
    rules: [
      'create | authentication.k8s.io | tokenreviews',
      'create | authorization.k8s.io | subjectaccessreviews',
    ],
  },
  { name: 'system:kube-aggregator', rules: [`${read} | , | endpoints,services`] },
  {
    name: 'system:kube-dns',
    rules: ['list,watch | , | endpoints,services'],
    subjects: ['ServiceAccount kube-system/kube-dns'],
  },
  {
    name: 'system:persistent-volume-provisioner',
    rules: [
      'create,delete,get,list,watch | , | persistentvolumes',
      'get,list,update,watch | , | persistentvolumeclaims',
      `${read} | storage.k8s.io | storageclasses`,
      'watch | , | events',
      ...eventWriter,
    ],
  },
  {
    name: 'system:service-account-issuer-discovery',
    rules: [
      'get | /.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/',
    ],
    subjects: ['Group system:serviceaccounts'],
  },
  {
    name: 'system:kube-scheduler',
    rules: [
      ...eventWriter,
      'create | coordination.k8s.io | leases',
      'get,update | coordination.k8s.io | leases | kube-scheduler',
      `${read} | , | nodes`,
      'delete,get,list,watch | , | pods',
      'create | , | bindings,pods/binding',
      'patch,update | , | pods/status',
      `${read} | , | replicationcontrollers,services,namespaces`,
      `${read} | apps | replicasets,statefulsets`,
      `${read} | policy | poddisruptionbudgets`,
      `${read} | , | persistentvolumeclaims,persistentvolumes`,
      'create | authentication.k8s.io | tokenreviews',
      'create | authorization.k8s.io | subjectaccessreviews',
      `${read} | storage.k8s.io | csidrivers,csinodes,csistoragecapacities`,
      `${read} | resource.k8s.io | deviceclasses,resourceclaims,resourceslices`,
    ],
    subjects: ['User system:kube-scheduler'],
  },
  {
    name: 'system:volume-scheduler',
    rules: [
      'get,list,patch,update,watch | , | persistentvolumes',
      `${read} | storage.k8s.io | storageclasses`,
      'get,list,patch,update,watch | , | persistentvolumeclaims',
    ],
    subjects: ['User system:kube-scheduler'],
  },
  {
    name: 'system:kube-controller-manager',
    rules: [
      ...eventWriter,
      'create | coordination.k8s.io | leases',
      'get,update | coordination.k8s.io | leases | kube-controller-manager',
      'create | , | secrets,serviceaccounts',
      'delete | , | secrets',
      'get | , | configmaps,namespaces,secrets,serviceaccounts',
      'update | , | secrets,serviceaccounts',
      'create | authentication.k8s.io | tokenreviews',
      'create | authorization.k8s.io | subjectaccessreviews',
      'list,watch | * | *',
      'create | , | serviceaccounts/token',
    ],
    subjects: ['User system:kube-controller-manager'],
  },
  controller('deployment-controller', [
    'get,list,update,watch | apps | deployments',
    'update | apps | deployments/status,deployments/finalizers',
    'create,delete,get,list,patch,update,watch | apps | replicasets',
    'get,list,update,watch | , | pods',
  ]),
  controller('replicaset-controller', [
    'get,list,update,watch | apps | replicasets',
    'update | apps | replicasets/status,replicasets/finalizers',
    'create,delete,list,patch,watch | , | pods',
  ]),
  controller('replication-controller', [
    'get,list,update,watch | , | replicationcontrollers',
    'update | , | replicationcontrollers/status,replicationcontrollers/finalizers',
    'create,delete,list,patch,watch | , | pods',
  ]),
  controller('statefulset-controller', [
    'list,watch | , | pods',
    'get,list,watch | apps | statefulsets',
    'update | apps | statefulsets/status,statefulsets/finalizers',
    'create,delete,get,patch,update | , | pods',
    'create,delete,get,list,patch,update,watch | apps | controllerrevisions',
    'create,delete,get,list,update,watch | , | persistentvolumeclaims',
  ]),
  controller('daemon-set-controller', [
    'get,list,watch | apps | daemonsets',
    'update | apps | daemonsets/status,daemonsets/finalizers',
    'list,watch | , | nodes',
    'create,delete,list,patch,watch | , | pods',
    'create,delete,get,list,patch,update,watch | apps | controllerrevisions',
  ]),
  controller('job-controller', [
    'get,list,patch,update,watch | batch | jobs',
    'update | batch | jobs/status,jobs/finalizers',
    'create,delete,list,patch,watch | , | pods',
  ]),
  controller('cronjob-controller', [
    'get,list,update,watch | batch | cronjobs',
    'create,delete,get,list,patch,update,watch | batch | jobs',
    'update | batch | cronjobs/status,cronjobs/finalizers',
    'delete,list | , | pods',
  ]),
  controller('endpoint-controller', [
    'get,list,watch | , | pods,services',
    'create,delete,get,list,update | , | endpoints',
    'create | , | endpoints/restricted',
  ]),
  controller('endpointslice-controller', [
    'get,list,watch | , | nodes,pods,services',
    'update | , | services/finalizers',
    'create,delete,get,list,update,watch | discovery.k8s.io | endpointslices',
    'create | discovery.k8s.io | endpointslices/restricted',
  ]),
  controller('generic-garbage-collector', ['delete,get,list,patch,update,watch | * | *']),
  controller('namespace-controller', [
    'delete,get,list,watch | , | namespaces',
    'update | , | namespaces/finalize,namespaces/status',
    'delete,deletecollection,get,list | * | *',
  ]),
  controller('node-controller', [
    'delete,get,list,patch,update,watch | , | nodes',
    'patch,update | , | nodes/status',
    'patch,update | , | pods/status',
    'delete,get,list,watch | , | pods',
  ]),
  controller('pod-garbage-collector', [
    'delete,list,watch | , | pods',
    'get,list | , | nodes',
    'patch | , | pods/status',
  ]),
  controller('disruption-controller', [
    'get,list,watch | apps | deployments,replicasets,statefulsets',
    'get,list,watch | , | replicationcontrollers',
    'get,list,watch | policy | poddisruptionbudgets',
    'list,watch | , | pods',
    'patch,update | , | pods/status',
    'update | policy | poddisruptionbudgets/status',
    'get | * | */scale',
  ]),
  controller('horizontal-pod-autoscaler', [
    'get,list,watch | autoscaling | horizontalpodautoscalers',
    'update | autoscaling | horizontalpodautoscalers/status',
    'get,update | * | */scale',
    'list | , | pods',
    'get,list | custom.metrics.k8s.io,external.metrics.k8s.io,metrics.k8s.io | *',
  ]),
  controller('resourcequota-controller', ['list,watch | * | *', 'update | , | resourcequotas/status']),
  controller('service-account-controller', ['create | , | serviceaccounts']),
  controller('ttl-after-finished-controller', ['delete,get,list,watch | batch | jobs']),
  controller('clusterrole-aggregation-controller', [
    `escalate,get,list,patch,update,watch | ${rbacGroup} | clusterroles`,
  ]),
  controller('root-ca-cert-publisher', ['create,update | , | configmaps']),
  controller('persistent-volume-binder', [
    'create,delete,get,list,update,watch | , | persistentvolumes',
    'update | , | persistentvolumes/status',
    'get,list,update,watch | , | persistentvolumeclaims',
    'update | , | persistentvolumeclaims/status',
    'get,list,watch | storage.k8s.io | storageclasses',
  ]),
]

function controller(name: string, rules: readonly string[]): RoleDefaults {
  return {
    name: `system:controller:${name}`,
    rules: [...rules, ...eventWriter],
    subjects: [`ServiceAccount kube-system/${name}`],
  }
}

function aggregateTo(role: string): Readonly<Record<string, string>> {
  return { [`${rbacGroup}/aggregate-to-${role}`]: 'true' }
}

const bootstrapLabels = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }
const bootstrapAnnotations = { 'rbac.authorization.kubernetes.io/autoupdate': 'true' }

/** The default cluster roles, without server-set metadata. */
export function bootstrapClusterRoles(): readonly ClusterRole[] {
  return roleDefaults.map(({ name, labels, aggregates, rules }) => ({
    apiVersion: `${rbacGroup}/v1`,
    kind: 'ClusterRole',
    metadata: { name, labels: { ...bootstrapLabels, ...labels }, annotations: { ...bootstrapAnnotations } },
    ...(aggregates === undefined
      ? {}
      : { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { ...aggregateTo(aggregates) } }] } }),
    rules: (rules ?? []).map(parseRule),
  }))
}

/** The default cluster role bindings, each named after its role. */
export function bootstrapClusterRoleBindings(): readonly ClusterRoleBinding[] {
  return roleDefaults.flatMap(({ name, subjects }) =>
    subjects === undefined
      ? []
      : [
          {
            apiVersion: `${rbacGroup}/v1`,
            kind: 'ClusterRoleBinding',
            metadata: { name, labels: { ...bootstrapLabels }, annotations: { ...bootstrapAnnotations } },
            ...(subjects.length === 0 ? {} : { subjects: subjects.map(parseSubject) }),
            roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name },
          },
        ],
  )
}

function parseRule(text: string): PolicyRule {
  const [verbs = '', second = '', resources, names] = text.split('|').map((part) => part.trim())
  if (resources === undefined) return { verbs: verbs.split(','), nonResourceURLs: second.split(',') }
  return {
    verbs: verbs.split(','),
    apiGroups: second === ',' ? [''] : second.split(','),
    resources: resources.split(','),
    ...(names === undefined ? {} : { resourceNames: names.split(',') }),
  }
}

function parseSubject(text: string): Subject {
  const [kind = '', name = ''] = text.split(' ')
  if (kind !== 'ServiceAccount') return { apiGroup: rbacGroup, kind, name }
  const [namespace = '', account = ''] = name.split('/')
  return { kind, name: account, namespace }
}
