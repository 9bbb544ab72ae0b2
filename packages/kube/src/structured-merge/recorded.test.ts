import { describe, expect, test } from 'vitest'
import { builtinSchema, schemaOfKind } from '../builtin-schema.ts'
import type { ManagedFieldsEntry } from '../generated/kinds.ts'
import { applyMergePatch } from '../merge-patch.ts'
import type { KubeObject } from '../object.ts'
import type { Schema } from '../schema.ts'
import { recordedSteps } from '../testing/recorded.ts'
import { parseYaml } from '../yaml.ts'
import { applyConfiguration, formatConflicts } from './apply-configuration.ts'
import { updateManagers } from './update-managers.ts'

const time = '2026-01-02T03:04:05Z'

describe('ownership, against recordings of a real server', () => {
  test('a creator owns what was written and defaulted, but no struct that is there anyway', () => {
    for (const name of [
      'defaulting/deployment-managed-fields',
      'apply/conflict-with-update',
      'apply/after-create',
    ]) {
      const created = recordedSteps(name)[0]!.answer
      const manager = created.metadata.managedFields[0].manager

      expect(sorted(createdBy(created, manager)), name).toEqual(sorted(created.metadata.managedFields))
    }
  })

  test('updates split and steal ownership', () => {
    const steps = recordedSteps('update/managed-fields-by-update')
    let before = steps[0]!.answer as KubeObject
    for (const step of steps.slice(1, 3)) {
      const after = step.answer as KubeObject
      const managers = updateManagers({
        before: bare(before),
        after: bare(after),
        managers: before.metadata.managedFields,
        manager: new URLSearchParams(step.path.split('?')[1]).get('fieldManager') ?? '',
        apiVersion: 'v1',
        time,
        subresource: '',
        schema: schemaOf(after),
      })

      expect(sorted(managers)).toEqual(sorted(after.metadata.managedFields))
      before = after
    }
  })

  test('a status write is owned under its subresource', () => {
    const steps = recordedSteps('subresources/status-managed-fields')
    const after = steps[1]!.answer as KubeObject & { status: Record<string, unknown> }
    const entries = after.metadata.managedFields!
    const before = { ...bare(after), status: { phase: 'Pending', qosClass: after.status['qosClass'] } }
    const managers = updateManagers({
      before: before as unknown as KubeObject,
      after: bare(after),
      managers: entries.slice(0, 1),
      manager: 'kubelet',
      apiVersion: 'v1',
      time,
      subresource: 'status',
      schema: schemaOf(after),
    })

    expect(sorted(managers)).toEqual(sorted(entries))
  })

  test.each([
    'apply/after-create',
    'apply/conflict-with-update',
    'apply/create-and-update',
    'apply/list-items',
    'apply/yaml',
  ])('applies as recorded: %s', (name) => {
    let live: KubeObject | undefined
    for (const step of recordedSteps(name)) {
      if (step.path.includes('/scale')) live = afterScale(live!)
      else if (step.method === 'POST') live = step.answer
      else if (step.method === 'PATCH') live = expectApplied(step, live, schemaOfBody(step.body)) ?? live
    }
  })

  test('follows the list types of a custom resource', () => {
    const steps = recordedSteps('crd/apply').filter(({ path }) => path.includes('fieldManager'))
    let live: KubeObject | undefined
    for (const step of steps) live = expectApplied(step, live, widgetSchema) ?? live
    expect(steps.length).toBe(4)
  })

  test('keeps two appliers of one object apart by subresource', () => {
    let live: KubeObject | undefined
    for (const step of recordedSteps('apply/status')) {
      if (step.method === 'PATCH') live = expectApplied(step, live, schemaOfBody(step.body)) ?? live
      else if (step.status < 300) live = step.answer
    }
  })
})

/** Checks one recorded apply; answers with the object afterwards, or undefined when it was refused. */
function expectApplied(
  step: ReturnType<typeof recordedSteps>[number],
  live: KubeObject | undefined,
  schema: Schema,
): KubeObject | undefined {
  if (step.status === 422) return undefined
  const config = (typeof step.body === 'string' ? parseYaml(step.body) : step.body) as KubeObject
  const query = new URLSearchParams(step.path.split('?')[1])
  const subresource = step.path.includes('/status?') ? 'status' : ''
  const outcome = applyConfiguration({
    live,
    managers: live?.metadata.managedFields,
    config,
    manager: query.get('fieldManager') ?? '',
    force: query.get('force') === 'true',
    schema,
    apiVersion: config.apiVersion,
    time,
    subresource,
    ignored: subresource === '' ? { 'f:status': {} } : { 'f:spec': {} },
  })
  if (step.status === 409) {
    expect(outcome.type).toBe('conflicts')
    if (outcome.type !== 'conflicts') return undefined
    expect(formatConflicts(outcome.conflicts)).toBe(step.answer.message)
    expect(
      outcome.conflicts.map(({ message, field }) => ({ reason: 'FieldManagerConflict', message, field })),
    ).toEqual(step.answer.details.causes)
    return undefined
  }
  expect(outcome.type).toBe('applied')
  if (outcome.type !== 'applied') return undefined
  expect(sorted(outcome.managedFields)).toEqual(sorted(step.answer.metadata.managedFields))
  // What the server adds (defaults, metadata) is in the recording and not in the merge.
  expect(step.answer).toMatchObject(withoutStatus(outcome.object))
  // The other way round, nothing may be left that the server removed; new items lack their defaults.
  if (live !== undefined && config.kind !== 'Deployment') {
    const { data, spec } = outcome.object as KubeObject & { data?: unknown; spec?: unknown }
    expect({ data, spec }).toEqual({ data: step.answer.data, spec: step.answer.spec })
  }
  return step.answer
}

function withoutStatus(object: KubeObject): Record<string, unknown> {
  const { status: _, metadata, ...rest } = object as KubeObject & { status?: unknown }
  const { name, labels } = metadata
  return { ...rest, metadata: labels === undefined ? { name } : { name, labels } }
}

function createdBy(created: KubeObject, manager: string): ManagedFieldsEntry[] {
  const after = bare(created) as KubeObject & { spec: Record<string, unknown>; status?: unknown }
  // Cluster addresses are handed out after ownership is taken.
  const late = ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']
  if (after.kind === 'Service')
    after.spec = Object.fromEntries(Object.entries(after.spec).filter(([key]) => !late.includes(key)))
  return updateManagers({
    before: undefined,
    after,
    managers: undefined,
    manager,
    apiVersion: created.apiVersion,
    time,
    subresource: '',
    schema: schemaOf(created),
  })
}

/** A write through scale: no time is noted. */
function afterScale(live: KubeObject): KubeObject {
  const after = applyMergePatch(live, { spec: { replicas: 2 } }) as KubeObject
  const managedFields = updateManagers({
    before: bare(live),
    after: bare(after),
    managers: live.metadata.managedFields,
    manager: 'scaler',
    apiVersion: live.apiVersion,
    time: undefined,
    subresource: 'scale',
    schema: schemaOf(live),
  })
  return { ...after, metadata: { ...after.metadata, managedFields } }
}

function bare(object: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

function schemaOf(object: KubeObject): Schema {
  const [group, version] = object.apiVersion.includes('/')
    ? object.apiVersion.split('/')
    : ['', object.apiVersion]
  return schemaOfKind(group!, version!, object.kind)!
}

function schemaOfBody(body: unknown): Schema {
  return schemaOf((typeof body === 'string' ? parseYaml(body) : body) as KubeObject)
}

function sorted(entries: readonly ManagedFieldsEntry[] | undefined): unknown {
  return [...(entries ?? [])].sort((one, two) => ((one.manager ?? '') < (two.manager ?? '') ? -1 : 1))
}

const text: Schema = { type: 'string' }
const widgetSchema: Schema = {
  type: 'object',
  properties: {
    apiVersion: text,
    kind: text,
    metadata: builtinSchema('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta'),
    spec: {
      type: 'object',
      properties: {
        set: { type: 'array', listType: 'set', items: text },
        map: {
          type: 'array',
          listType: 'map',
          listMapKeys: ['k'],
          items: { type: 'object', properties: { k: text, v: { type: 'integer' } } },
        },
        atomic: { type: 'array', items: { type: 'integer' } },
        m: { type: 'object', values: text },
        am: { type: 'object', mapType: 'atomic', values: text },
      },
    },
  },
}
