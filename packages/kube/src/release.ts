import ages from '../data/kubernetes-ages.json' with { type: 'json' }
import type { Schema } from './schema.ts'

/**
 * A minor release of Kubernetes 1: 22 stands for 1.22. What older ones had is known back to `oldestRelease`; what
 * came later than they did is missing in them.
 */
export type Release = number

/** The oldest release whose kinds and fields are known. */
export const oldestRelease: Release = 22
/** The release the tables of this room describe. */
export const newestRelease: Release = 36

const youngFields: Readonly<Record<string, Readonly<Record<string, number>>>> = ages.fields
const youngResources: Readonly<Record<string, number>> = ages.resources

/**
 * Fields that were declared before they could be used: a server drops them until their feature gate is on by
 * default. By definition and field, with the release that switched the gate on (Kubernetes, "Feature Gates").
 */
const gatedFields: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'io.k8s.api.admissionregistration.v1.MutatingWebhook': { matchConditions: 28 },
  'io.k8s.api.admissionregistration.v1.ValidatingWebhook': { matchConditions: 28 },
  'io.k8s.api.batch.v1.JobSpec': { podFailurePolicy: 26 },
  'io.k8s.api.core.v1.Container': { resizePolicy: 33, restartPolicy: 29, restartPolicyRules: 35 },
  'io.k8s.api.core.v1.EphemeralContainer': { resizePolicy: 33, restartPolicy: 29, restartPolicyRules: 35 },
  'io.k8s.api.core.v1.ContainerStatus': { allocatedResources: 33, resources: 33 },
  'io.k8s.api.core.v1.LifecycleHandler': { sleep: 30 },
  'io.k8s.api.core.v1.PodSpec': { resources: 34, schedulingGates: 27 },
  'io.k8s.api.core.v1.PodStatus': { resize: 33 },
  'io.k8s.api.core.v1.Probe': { grpc: 24 },
  'io.k8s.api.core.v1.TopologySpreadConstraint': { matchLabelKeys: 27 },
  'io.k8s.api.core.v1.Volume': { image: 33 },
  'io.k8s.api.core.v1.VolumeMount': { recursiveReadOnly: 31 },
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion': {
    selectableFields: 31,
  },
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps': {
    'x-kubernetes-validations': 25,
  },
}
/** The same for parts of a resource. */
const gatedResources: Readonly<Record<string, number>> = { '/v1/pods/resize': 33 }

/** Since which release a field of a definition (`io.k8s.api.core.v1.Container`) can be used. */
export function fieldSince(definition: string, field: string): Release {
  return gatedFields[definition]?.[field] ?? youngFields[definition]?.[field] ?? oldestRelease
}

/**
 * Since which release a built-in resource, or with `pods/resize` a part of it, is served in this version.
 * `oldestRelease` for everything that nothing is known of.
 */
export function resourceSince(group: string, version: string, path: string): Release {
  const key = `${group}/${version}/${path}`
  return gatedResources[key] ?? youngResources[key] ?? oldestRelease
}

const built = new Map<Release, WeakMap<Schema, Schema>>()

/**
 * A built-in schema as it was in a release: fields that came later are gone, wherever they stand below it. The
 * same schema gives the same value again.
 */
export function schemaOfRelease(schema: Schema, release: Release): Schema {
  let known = built.get(release)
  if (known === undefined) {
    known = new WeakMap()
    built.set(release, known)
  }
  return older(schema, release, known)
}

/** Lazy like the schemas themselves, which may contain themselves. */
function older(schema: Schema, release: Release, known: WeakMap<Schema, Schema>): Schema {
  const before = known.get(schema)
  if (before !== undefined) return before
  let properties: Readonly<Record<string, Schema>> | undefined
  const { items, values } = schema
  const made = Object.defineProperties(
    {},
    {
      ...Object.getOwnPropertyDescriptors(schema),
      ...(items === undefined ? {} : lazily('items', () => older(items, release, known))),
      ...(values === undefined ? {} : lazily('values', () => older(values, release, known))),
      ...lazily('properties', () => {
        properties ??= olderProperties(schema, (property) => older(property, release, known), release)
        return properties
      }),
    },
  ) as Schema
  known.set(schema, made)
  return made
}

const lazily = (name: string, get: () => unknown): PropertyDescriptorMap => ({
  [name]: { get, enumerable: true, configurable: true },
})

function olderProperties(
  { definition, properties }: Schema,
  convert: (property: Schema) => Schema,
  release: Release,
): Readonly<Record<string, Schema>> | undefined {
  if (properties === undefined) return undefined
  const kept: Record<string, Schema> = Object.create(null)
  for (const [field, property] of Object.entries(properties))
    if (definition === undefined || fieldSince(definition, field) <= release) kept[field] = convert(property)
  return kept
}
