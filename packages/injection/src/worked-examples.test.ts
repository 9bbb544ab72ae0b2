import { readFileSync } from 'node:fs'
import { controllerRevisionOf, type SidecarSetSpec, sidecarSetLabels } from '@outrigger/api'
import { type Pod, parseYaml } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import { applyPlan } from './apply-plan.ts'
import { parseRecords } from './injection-records.ts'
import { planInjection } from './plan.ts'
import { facts, pod, sidecarSet } from './testdata/builders.ts'

interface Described {
  readonly name: string
  readonly annotations?: Record<string, string>
  readonly spec: SidecarSetSpec
}

interface Example {
  readonly name: string
  readonly sidecarSets: readonly Described[]
  readonly recorded?: readonly Described[]
  readonly pod: {
    readonly labels?: Record<string, string>
    readonly annotations?: Record<string, string>
    readonly spec: Pod['spec']
  }
  readonly result?: unknown
  readonly sidecarLists?: Record<string, string[]>
  readonly refusal?: string
}

const examplesIn = (file: string) =>
  parseYaml(
    readFileSync(new URL(`./testdata/${file}`, import.meta.url), 'utf8'),
  ) as unknown as readonly Example[]
const examples = examplesIn('worked-examples.yaml')
const further = examplesIn('further-behaviour.yaml')

function injected({ sidecarSets, recorded = [], pod: draft }: Example): Pod {
  const built = (list: readonly Described[]) =>
    list.map(({ name, spec, annotations }) => sidecarSet(name, spec, annotations))
  const revisions = built(recorded).map((set, i) =>
    controllerRevisionOf(set, { namespace: 'kruise-system', revision: i + 1, collisionCount: 0 }),
  )
  const { spec, ...metadata } = draft
  const subject = pod({ ...metadata, ...spec })
  const plan = planInjection(subject, {
    ...facts(built(sidecarSets)),
    revisions: {
      find: (set, { customVersion }) =>
        revisions.find(
          ({ metadata: { labels } }) =>
            labels?.[sidecarSetLabels.name] === set.metadata.name &&
            labels?.[sidecarSetLabels.customVersion] === customVersion,
        ),
    },
  })
  return applyPlan(subject, plan)
}

describe('worked example', () => {
  it.each([...examples, ...further].map((example) => [example.name, example] as const))(
    '%s',
    (_, example) => {
      if (example.refusal !== undefined) {
        expect(() => injected(example)).toThrow(example.refusal)
        return
      }
      const result = injected(example)
      expect(result).toMatchObject(example.result as object)
      const records = parseRecords(result.metadata.annotations?.['kruise.io/sidecarset-hash'])
      for (const [name, list] of Object.entries(example.sidecarLists ?? {}))
        expect(records?.get(name)?.sidecarList).toEqual(list)
    },
  )

  it('16 records the hashes and the name of the revision that was injected', () => {
    const example = examples.find(({ name }) =>
      name.startsWith('16, a recorded revision for a share of the pods, drawn'),
    )
    if (example === undefined) throw new Error('no such example')
    const records = (annotation: string) =>
      parseRecords(injected(example).metadata.annotations?.[annotation])?.get('s')
    const [recorded] = example.recorded ?? []
    const old = sidecarSet('s', recorded?.spec ?? {})
    expect(records('kruise.io/sidecarset-hash')).toMatchObject({
      hash: old.metadata.annotations?.['kruise.io/sidecarset-hash'],
      controllerRevision: controllerRevisionOf(old, { namespace: 'n', revision: 1, collisionCount: 0 })
        .metadata.name,
    })
  })
})
