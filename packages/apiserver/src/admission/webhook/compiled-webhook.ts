import type {
  MutatingWebhook,
  MutatingWebhookConfiguration,
  RuleWithOperations,
  ValidatingWebhook,
  ValidatingWebhookConfiguration,
  WebhookClientConfig,
} from '@outrigger/kube'
import { type CelProgram, compileCel } from '../../custom/cel/cel-program.ts'
import type { Resource } from '../../registry/resource.ts'
import type { Operation } from '../plugin.ts'
import { createLabelTest, type LabelTest } from './label-selector.ts'

/** One webhook of a configuration, ready to be asked. */
export interface CompiledWebhook {
  readonly name: string
  /** Configuration and place in it; identifies the webhook among all. */
  readonly id: string
  readonly clientConfig: WebhookClientConfig
  readonly rules: readonly RuleWithOperations[]
  readonly matchesEquivalent: boolean
  /** Absent: all namespaces. */
  readonly namespaceTest: LabelTest | undefined
  /** Absent: all objects. */
  readonly objectTest: LabelTest | undefined
  /** Compile errors are kept, to be dealt with by the failure policy of each request. */
  readonly conditions: readonly { readonly name: string; readonly program: CelProgram | Error }[]
  readonly ignoresFailures: boolean
  /** Milliseconds. */
  readonly timeout: number
  readonly allowsDryRun: boolean
  readonly isReinvoked: boolean
}

/** Compiles the webhooks of configurations, in the order in which they are called: by configuration name. */
export function compileWebhooks(
  configurations: Iterable<MutatingWebhookConfiguration | ValidatingWebhookConfiguration>,
): readonly CompiledWebhook[] {
  return [...configurations]
    .sort((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1))
    .flatMap(({ metadata, webhooks }) =>
      (webhooks ?? []).map((webhook, index) => compileWebhook(webhook, `${metadata.name}/${index}`)),
    )
}

function compileWebhook(webhook: MutatingWebhook | ValidatingWebhook, id: string): CompiledWebhook {
  return {
    name: webhook.name,
    id,
    clientConfig: webhook.clientConfig,
    rules: webhook.rules ?? [],
    matchesEquivalent: webhook.matchPolicy !== 'Exact',
    namespaceTest: createLabelTest(webhook.namespaceSelector),
    objectTest: createLabelTest(webhook.objectSelector),
    conditions: (webhook.matchConditions ?? []).map(({ name, expression }) => ({
      name,
      program: tryCompile(expression),
    })),
    ignoresFailures: webhook.failurePolicy === 'Ignore',
    timeout: Math.min(30, Math.max(1, webhook.timeoutSeconds ?? 10)) * 1000,
    allowsDryRun: webhook.sideEffects === 'None' || webhook.sideEffects === 'NoneOnDryRun',
    isReinvoked: 'reinvocationPolicy' in webhook && webhook.reinvocationPolicy === 'IfNeeded',
  }
}

function tryCompile(expression: string): CelProgram | Error {
  try {
    return compileCel(expression)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

/** A webhook with the version of the resource that its rule asked for. */
export interface WebhookMatch {
  readonly webhook: CompiledWebhook
  /** Differs from the requested resource when the rule names an equivalent one. */
  readonly resource: Resource
}

/**
 * Whether the rules of a webhook cover a request, and in which version it wants the object. Equivalent versions
 * count unless the match policy is `Exact`.
 */
export function matchRules(
  webhook: CompiledWebhook,
  operation: Operation,
  resource: Resource,
  subresource: string,
  equivalents: readonly Resource[],
): WebhookMatch | undefined {
  const covers = (candidate: Resource) =>
    webhook.rules.some((rule) => ruleMatches(rule, operation, candidate, subresource))
  if (covers(resource)) return { webhook, resource }
  if (!webhook.matchesEquivalent) return undefined
  const other = equivalents.find((candidate) => candidate !== resource && covers(candidate))
  return other === undefined ? undefined : { webhook, resource: other }
}

function ruleMatches(
  rule: RuleWithOperations,
  operation: Operation,
  resource: Resource,
  subresource: string,
): boolean {
  const includes = (list: readonly string[] | undefined, wanted: string) =>
    list?.some((entry) => entry === '*' || entry === wanted) ?? false
  return (
    includes(rule.operations, operation) &&
    includes(rule.apiGroups, resource.group) &&
    includes(rule.apiVersions, resource.version) &&
    scopeMatches(rule.scope, resource) &&
    (rule.resources?.some((entry) => resourceMatches(entry, resource.plural, subresource)) ?? false)
  )
}

/** Namespaces themselves count as cluster-scoped. */
function scopeMatches(scope: RuleWithOperations['scope'], resource: Resource): boolean {
  if (scope === undefined || scope === '*') return true
  return (scope === 'Namespaced') === resource.namespaced
}

/** `pods`, `pods/status`, `pods/*`, `*`, `*` + `/status` or `*` + `/*`. */
function resourceMatches(entry: string, plural: string, subresource: string): boolean {
  const slash = entry.indexOf('/')
  const wanted = slash < 0 ? entry : entry.slice(0, slash)
  const wantedSub = slash < 0 ? '' : entry.slice(slash + 1)
  return (wanted === '*' || wanted === plural) && (wantedSub === '*' || wantedSub === subresource)
}
