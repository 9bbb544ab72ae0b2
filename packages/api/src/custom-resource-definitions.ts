import type { CustomResourceConversion, CustomResourceDefinition } from '@outrigger/kube'
import { outriggerResources } from './names.ts'
import { bindingSchema, sidecarSetSchema } from './schemas.ts'

export interface DefinitionOptions {
  /**
   * Where versions are converted. With it, v1alpha1 and v1beta1 differ as in OpenKruise; without it
   * both accept the union of their fields and only the version's name is exchanged, so that a cluster
   * works before, and without, a webhook. v1beta1 is stored either way (but see `withStoredVersionOf`).
   */
  readonly conversion?: CustomResourceConversion
}

/** The definitions of our resources, as they are installed. */
export function customResourceDefinitions(options: DefinitionOptions = {}): CustomResourceDefinition[] {
  return [sidecarSetDefinition(options), bindingDefinition()]
}

/**
 * A definition to be written over one that is there: what was stored in one of its versions goes on being stored in that.
 * Another stored version could not be taken back, because the API server keeps a definition from losing a version in which
 * something may be stored; and the way back to a release of OpenKruise that knows v1alpha1 only must stay open.
 */
export function withStoredVersionOf(
  wanted: CustomResourceDefinition,
  found: CustomResourceDefinition | undefined,
): CustomResourceDefinition {
  const stored = found?.spec.versions.find(({ storage }) => storage)?.name
  if (!wanted.spec.versions.some(({ name }) => name === stored)) return wanted
  const versions = wanted.spec.versions.map((version) => ({ ...version, storage: version.name === stored }))
  return { ...wanted, spec: { ...wanted.spec, versions } }
}

function sidecarSetDefinition({ conversion }: DefinitionOptions): CustomResourceDefinition {
  const { group, resource, kind } = outriggerResources.sidecarSets
  const version = (name: 'v1alpha1' | 'v1beta1') => ({
    name,
    served: true,
    storage: name === 'v1beta1',
    schema: { openAPIV3Schema: sidecarSetSchema(conversion === undefined ? 'union' : name) },
    subresources: { status: {} },
    additionalPrinterColumns: [
      column('MATCHED', 'integer', '.status.matchedPods', 'Pods that carry this SidecarSet'),
      column('UPDATED', 'integer', '.status.updatedPods', 'Pods that carry its latest content'),
      column('READY', 'integer', '.status.readyPods', 'Pods that are ready'),
      column('AGE', 'date', '.metadata.creationTimestamp', 'Time since the creation'),
    ],
  })
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource}.${group}` },
    spec: {
      group,
      names: { kind, listKind: `${kind}List`, plural: resource, singular: 'sidecarset' },
      scope: 'Cluster',
      versions: [version('v1alpha1'), version('v1beta1')],
      ...(conversion && { conversion }),
    },
  }
}

function bindingDefinition(): CustomResourceDefinition {
  const { group, resource, kind, version } = outriggerResources.sidecarSetResourceBindings
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${resource}.${group}` },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural: resource,
        singular: 'sidecarsetresourcebinding',
        shortNames: ['ssrb'],
      },
      scope: 'Namespaced',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: bindingSchema },
          subresources: { status: {} },
          additionalPrinterColumns: [
            column(
              'READY',
              'string',
              '.status.conditions[?(@.type=="Ready")].status',
              'Whether it has effect',
            ),
            column('AGE', 'date', '.metadata.creationTimestamp', 'Time since the creation'),
          ],
        },
      ],
    },
  }
}

function column(name: string, type: string, jsonPath: string, description: string) {
  return { name, type, jsonPath, description }
}
