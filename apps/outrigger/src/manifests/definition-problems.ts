import { customResourceDefinitions } from '@outrigger/api'
import type { JSONSchemaProps, KubeObject } from '@outrigger/kube'
import { type SchemaProblem, schemaProblems } from './schema-problems.ts'

/** What the definition of one of our resources has against an object: its version, names and types of its fields. */
export function definitionProblems(object: KubeObject): SchemaProblem[] {
  const definition = customResourceDefinitions().find(
    ({ spec }) => spec.names.kind === object.kind && object.apiVersion.startsWith(`${spec.group}/`),
  )
  const versions = definition?.spec.versions ?? []
  const wanted = object.apiVersion.slice(object.apiVersion.indexOf('/') + 1)
  const version = versions.find(({ name }) => name === wanted)
  if (version === undefined) {
    const names = versions.map(({ name }) => name).join(' or ')
    return [
      { field: 'apiVersion', kind: 'wrong type', message: `there is no version ${wanted}; use ${names}` },
    ]
  }
  const schema = version.schema?.openAPIV3Schema as JSONSchemaProps | undefined
  return schema === undefined ? [] : schemaProblems(object, schema)
}
