import type { Namespace } from '@outrigger/kube'
import type { KindBuilder } from '../kind-definition.ts'
import { selectableOf } from '../kind-definition.ts'
import { labelProblems } from '../name-rules.ts'
import { createStatusStrategy, createStrategy, keepField } from '../strategy.ts'

const nameLabel = 'kubernetes.io/metadata.name'

/** Namespaces: they carry their own name as a label and go only when `spec.finalizers` is empty. */
export const namespaceKind: KindBuilder = (schema) => {
  const base = createStrategy<Namespace>({
    schema,
    applyDefaults: labelWithName,
    initialStatus: () => ({ phase: 'Active' }),
    prepareForCreate(namespace) {
      labelWithName(namespace)
      const finalizers = namespace.spec?.finalizers ?? []
      namespace.spec = {
        ...namespace.spec,
        finalizers: finalizers.includes('kubernetes') ? finalizers : [...finalizers, 'kubernetes'],
      }
    },
    prepareForUpdate(namespace, old) {
      namespace.spec = { ...namespace.spec }
      keepField(namespace.spec, old.spec ?? {}, 'finalizers')
    },
    nameProblems: labelProblems,
  })
  const strategy = {
    ...base,
    holdsDeletion: (object: object) => ((object as Namespace).spec?.finalizers ?? []).length > 0,
    prepareForDelete(object: object) {
      const namespace = object as Namespace
      namespace.status = { ...namespace.status, phase: 'Terminating' }
    },
  }
  return {
    strategy,
    status: createStatusStrategy<Namespace>(strategy),
    subresources: {
      finalize: {
        type: 'view',
        verbs: ['update'],
        strategy: {
          ...strategy,
          prepareForUpdate(object, old) {
            keepField(object, old, 'status')
          },
          validateUpdate: () => [],
        },
      },
    },
    selectable: selectableOf<Namespace>({
      name: ({ metadata }) => metadata.name,
      'status.phase': ({ status }) => status?.phase,
    }),
  }
}

/** Runs on every write, for the label tells the truth whatever a client sends. */
function labelWithName(namespace: Namespace): void {
  const { name, labels } = namespace.metadata
  if (name && labels?.[nameLabel] !== name) namespace.metadata.labels = { ...labels, [nameLabel]: name }
}
