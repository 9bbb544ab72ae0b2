import { type HorizontalPodAutoscaler, invalid, type KubeObject, required } from '@outrigger/kube'
import { checkName, type Errors, notSupported } from '../field-checks.ts'
import type { KindBuilder } from '../kind-definition.ts'
import { pathSegmentProblems } from '../name-rules.ts'
import { createStatusStrategy, createStrategy } from '../strategy.ts'

const annotation = 'autoscaling.alpha.kubernetes.io/'
const behaviorKey = `${annotation}behavior`
const metricsKey = `${annotation}metrics`
const conditionsKey = `${annotation}conditions`

/** The shape of v1: one CPU target in plain fields, everything else in annotations. */
type OldAutoscaler = KubeObject & {
  spec?: {
    scaleTargetRef?: unknown
    minReplicas?: number
    maxReplicas?: number
    targetCPUUtilizationPercentage?: number
  }
  status?: Record<string, unknown>
}

type Metric = NonNullable<NonNullable<HorizontalPodAutoscaler['spec']>['metrics']>[number]
type Behavior = NonNullable<NonNullable<HorizontalPodAutoscaler['spec']>['behavior']>
type ScalingRules = NonNullable<Behavior['scaleUp']>

/** Autoscalers as v2 has them, which is also how they are stored. */
export const autoscalerV2Kind: KindBuilder = (schema) => {
  const strategy = createStrategy<HorizontalPodAutoscaler>({
    schema,
    initialStatus: () => ({ desiredReplicas: 0, currentMetrics: null }),
    applyDefaults({ spec }) {
      if (spec === undefined) return
      spec.minReplicas ??= 1
      if ((spec.metrics ?? []).length === 0)
        spec.metrics = [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
          },
        ]
      if (spec.behavior !== undefined) applyBehaviorDefaults(spec.behavior)
    },
    validate: autoscalerErrors,
    nameProblems: pathSegmentProblems,
  })
  return { strategy, status: createStatusStrategy<HorizontalPodAutoscaler>(strategy) }
}

/** Autoscalers as v1 has them: a view of the same objects. */
export const autoscalerV1Kind: KindBuilder = (schema) => {
  const strategy = createStrategy<KubeObject>({
    schema,
    initialStatus: () => ({ currentReplicas: 0, desiredReplicas: 0 }),
    applyDefaults(object) {
      const { spec } = object as OldAutoscaler
      if (spec !== undefined) spec.minReplicas ??= 1
    },
    validate: (object) => autoscalerErrors(object as unknown as HorizontalPodAutoscaler),
    nameProblems: pathSegmentProblems,
  })
  return {
    strategy,
    status: createStatusStrategy(strategy),
    storage: {
      group: 'autoscaling',
      resource: 'horizontalpodautoscalers',
      version: 'v2',
      convert: async (objects, toApiVersion) =>
        objects.map((object) => convertAutoscaler(object, toApiVersion)),
    },
  }
}

function applyBehaviorDefaults(behavior: Behavior): void {
  behavior.scaleUp ??= {}
  behavior.scaleDown ??= {}
  const { scaleUp, scaleDown } = behavior
  scaleUp.stabilizationWindowSeconds ??= 0
  scaleUp.selectPolicy ??= 'Max'
  scaleUp.policies ??= [
    { type: 'Pods', value: 4, periodSeconds: 15 },
    { type: 'Percent', value: 100, periodSeconds: 15 },
  ]
  scaleDown.selectPolicy ??= 'Max'
  scaleDown.policies ??= [{ type: 'Percent', value: 100, periodSeconds: 15 }]
}

function autoscalerErrors({ spec }: HorizontalPodAutoscaler): Errors {
  const errors: Errors = []
  if (spec === undefined) return [required('spec')]
  const { minReplicas, maxReplicas, scaleTargetRef } = spec
  if (minReplicas !== undefined && minReplicas < 1)
    errors.push(invalid('spec.minReplicas', minReplicas, 'must be greater than or equal to 1'))
  if (!(maxReplicas >= 1))
    errors.push(invalid('spec.maxReplicas', maxReplicas ?? 0, 'must be greater than 0'))
  if (minReplicas !== undefined && maxReplicas < minReplicas)
    errors.push(invalid('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`'))
  const path = 'spec.scaleTargetRef'
  for (const field of ['kind', 'name'] as const)
    if (!scaleTargetRef?.[field]) errors.push(required(`${path}.${field}`))
    else checkName(errors, `${path}.${field}`, scaleTargetRef[field], pathSegmentProblems)
  const apiVersion = scaleTargetRef?.apiVersion ?? ''
  if (!apiVersion.includes('/') && scaleTargetRef?.kind !== 'ReplicationController')
    errors.push(invalid(`${path}.apiVersion`, apiVersion, 'apiVersion must specify API group'))
  spec.metrics?.forEach((metric, index) => {
    const types = ['ContainerResource', 'External', 'Object', 'Pods', 'Resource']
    if (!types.includes(metric.type ?? ''))
      errors.push(notSupported(`spec.metrics[${index}].type`, metric.type ?? '', types))
  })
  return errors
}

function convertAutoscaler(object: KubeObject, toApiVersion: string): KubeObject {
  if (object.apiVersion === toApiVersion) return object
  return toApiVersion === 'autoscaling/v1'
    ? toOld(object as HorizontalPodAutoscaler)
    : (fromOld(object as OldAutoscaler) as unknown as KubeObject)
}

const isCpuTarget = ({ type, resource }: Metric) =>
  type === 'Resource' && resource?.name === 'cpu' && resource.target?.averageUtilization !== undefined

function toOld(object: HorizontalPodAutoscaler): KubeObject {
  const { spec, status } = object
  const metrics = spec?.metrics ?? []
  const cpu = metrics.find(isCpuTarget)
  const others = metrics.filter((metric) => metric !== cpu)
  const annotations: Record<string, string> = { ...object.metadata.annotations }
  if (others.length > 0) annotations[metricsKey] = JSON.stringify(others)
  if (spec?.behavior !== undefined) annotations[behaviorKey] = JSON.stringify(goBehavior(spec.behavior))
  if ((status?.conditions ?? []).length > 0) annotations[conditionsKey] = JSON.stringify(status?.conditions)
  const current = status?.currentMetrics?.find(
    ({ type, resource }) => type === 'Resource' && resource?.name === 'cpu',
  )?.resource?.current?.averageUtilization
  const metadata = { ...object.metadata }
  if (Object.keys(annotations).length > 0) metadata.annotations = annotations
  const old = {
    apiVersion: 'autoscaling/v1',
    kind: object.kind,
    metadata,
    spec: {
      ...(spec === undefined
        ? {}
        : {
            scaleTargetRef: spec.scaleTargetRef,
            minReplicas: spec.minReplicas,
            maxReplicas: spec.maxReplicas,
          }),
      ...(cpu === undefined
        ? {}
        : { targetCPUUtilizationPercentage: cpu.resource?.target?.averageUtilization }),
    },
    status: {
      ...(status?.observedGeneration === undefined ? {} : { observedGeneration: status.observedGeneration }),
      ...(status?.lastScaleTime === undefined ? {} : { lastScaleTime: status.lastScaleTime }),
      currentReplicas: status?.currentReplicas ?? 0,
      desiredReplicas: status?.desiredReplicas ?? 0,
      ...(current === undefined ? {} : { currentCPUUtilizationPercentage: current }),
    },
  }
  return old as unknown as KubeObject
}

/** The annotation holds Go's internal struct, capital letters and all. */
function goBehavior({ scaleUp, scaleDown }: Behavior): object {
  const rules = (one: ScalingRules | undefined) =>
    one === undefined
      ? null
      : {
          StabilizationWindowSeconds: one.stabilizationWindowSeconds ?? null,
          SelectPolicy: one.selectPolicy ?? null,
          Policies:
            one.policies?.map(({ type, value, periodSeconds }) => ({
              Type: type,
              Value: value,
              PeriodSeconds: periodSeconds,
            })) ?? null,
          Tolerance: one.tolerance ?? null,
        }
  return { ScaleUp: rules(scaleUp), ScaleDown: rules(scaleDown) }
}

function fromOld(object: OldAutoscaler): object {
  const { spec, status } = object
  const {
    [behaviorKey]: behavior,
    [metricsKey]: metrics,
    [conditionsKey]: conditions,
    ...rest
  } = object.metadata.annotations ?? {}
  const metadata = { ...object.metadata }
  if (Object.keys(rest).length > 0) metadata.annotations = rest
  else delete metadata.annotations
  const percent = spec?.targetCPUUtilizationPercentage
  const all = [
    ...((parse(metrics) as Metric[] | undefined) ?? []),
    ...(percent === undefined
      ? []
      : [
          {
            type: 'Resource',
            resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } },
          },
        ]),
  ]
  const rules = apiBehavior(parse(behavior))
  const { currentCPUUtilizationPercentage: current, ...counters } = status ?? {}
  // Not written when zero in v2.
  if (counters.currentReplicas === 0) delete counters.currentReplicas
  return {
    apiVersion: 'autoscaling/v2',
    kind: object.kind,
    metadata,
    spec: {
      ...(spec === undefined
        ? {}
        : {
            scaleTargetRef: spec.scaleTargetRef,
            minReplicas: spec.minReplicas,
            maxReplicas: spec.maxReplicas,
          }),
      ...(all.length > 0
        ? { metrics: all }
        : {
            metrics: [
              {
                type: 'Resource',
                resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
              },
            ],
          }),
      ...(rules === undefined ? {} : { behavior: rules }),
    },
    status: {
      ...counters,
      currentMetrics:
        current === undefined
          ? null
          : [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: current } } }],
      ...(conditions === undefined ? {} : { conditions: parse(conditions) }),
    },
  }
}

function parse(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    // Anybody may write the annotation; what is no JSON says nothing.
    return undefined
  }
}

function apiBehavior(value: unknown): Behavior | undefined {
  const go = value as Record<string, Record<string, unknown> | null> | undefined
  if (go === undefined || go === null) return undefined
  const rules = (one: Record<string, unknown> | null | undefined): ScalingRules | undefined =>
    one === null || one === undefined
      ? undefined
      : ({
          ...(typeof one.StabilizationWindowSeconds === 'number'
            ? { stabilizationWindowSeconds: one.StabilizationWindowSeconds }
            : {}),
          ...(typeof one.SelectPolicy === 'string' ? { selectPolicy: one.SelectPolicy } : {}),
          ...(Array.isArray(one.Policies)
            ? {
                policies: one.Policies.map((policy: Record<string, unknown>) => ({
                  type: policy.Type,
                  value: policy.Value,
                  periodSeconds: policy.PeriodSeconds,
                })),
              }
            : {}),
        } as ScalingRules)
  const scaleUp = rules(go.ScaleUp)
  const scaleDown = rules(go.ScaleDown)
  return { ...(scaleUp === undefined ? {} : { scaleUp }), ...(scaleDown === undefined ? {} : { scaleDown }) }
}
