import {
  duplicate,
  invalid,
  type MutatingWebhook,
  type MutatingWebhookConfiguration,
  required,
  type ValidatingWebhook,
  type ValidatingWebhookConfiguration,
} from '@outrigger/kube'
import { checkLabelSelector, checkName, type Errors, notSupported } from '../field-checks.ts'
import type { KindBuilder } from '../kind-definition.ts'
import { subdomainProblems } from '../name-rules.ts'
import { createStrategy } from '../strategy.ts'

type Configuration = MutatingWebhookConfiguration | ValidatingWebhookConfiguration
type Webhook = MutatingWebhook | ValidatingWebhook

const operations = ['*', 'CONNECT', 'CREATE', 'DELETE', 'UPDATE']
const policies = ['Fail', 'Ignore']
const matchPolicies = ['Equivalent', 'Exact']

/** Webhook configurations of both sorts; only mutating webhooks may be called again. */
export const webhookConfigurationKind =
  (isMutating: boolean): KindBuilder =>
  (schema) => ({
    strategy: createStrategy<Configuration>({
      schema,
      tracksGeneration: true,
      generationFields: ['webhooks'],
      updatesUnconditionally: false,
      applyDefaults({ webhooks }) {
        for (const webhook of webhooks ?? []) applyWebhookDefaults(webhook, isMutating)
      },
      validate({ webhooks }) {
        const errors: Errors = []
        const names = new Set<string>()
        webhooks?.forEach((webhook, index) => {
          checkWebhook(errors, `webhooks[${index}]`, webhook)
          if (names.has(webhook.name)) errors.push(duplicate(`webhooks[${index}].name`, webhook.name))
          names.add(webhook.name)
        })
        return errors
      },
    }),
  })

function applyWebhookDefaults(webhook: Webhook, isMutating: boolean): void {
  webhook.failurePolicy ??= 'Fail'
  webhook.matchPolicy ??= 'Equivalent'
  webhook.namespaceSelector ??= {}
  webhook.objectSelector ??= {}
  webhook.timeoutSeconds ??= 10
  if (isMutating) (webhook as MutatingWebhook).reinvocationPolicy ??= 'Never'
  for (const rule of webhook.rules ?? []) rule.scope ??= '*'
  const service = webhook.clientConfig?.service
  if (service !== undefined) service.port ??= 443
}

function checkWebhook(errors: Errors, at: string, webhook: Webhook): void {
  const name = webhook.name ?? ''
  if (name === '') errors.push(required(`${at}.name`))
  else {
    checkName(errors, `${at}.name`, name, subdomainProblems)
    if (name.split('.').length < 3)
      errors.push(
        invalid(`${at}.name`, name, 'should be a domain with at least three segments separated by dots'),
      )
  }
  webhook.rules?.forEach((rule, index) => {
    const path = `${at}.rules[${index}]`
    for (const field of ['operations', 'apiGroups', 'apiVersions', 'resources'] as const)
      if ((rule[field] ?? []).length === 0) errors.push(required(`${path}.${field}`))
    rule.operations?.forEach((operation, number) => {
      if (!operations.includes(operation))
        errors.push(notSupported(`${path}.operations[${number}]`, operation, operations))
    })
  })
  if (webhook.failurePolicy !== undefined && !policies.includes(webhook.failurePolicy))
    errors.push(notSupported(`${at}.failurePolicy`, webhook.failurePolicy, policies))
  if (webhook.matchPolicy !== undefined && !matchPolicies.includes(webhook.matchPolicy))
    errors.push(notSupported(`${at}.matchPolicy`, webhook.matchPolicy, matchPolicies))
  if (webhook.sideEffects === undefined)
    errors.push(required(`${at}.sideEffects`, 'must specify one of None, NoneOnDryRun'))
  else if (webhook.sideEffects !== 'None' && webhook.sideEffects !== 'NoneOnDryRun')
    errors.push(notSupported(`${at}.sideEffects`, webhook.sideEffects, ['None', 'NoneOnDryRun']))
  const seconds = webhook.timeoutSeconds
  if (seconds !== undefined && (seconds < 1 || seconds > 30))
    errors.push(
      invalid(`${at}.timeoutSeconds`, seconds, 'the timeout value must be between 1 and 30 seconds'),
    )
  checkLabelSelector(errors, `${at}.namespaceSelector`, webhook.namespaceSelector)
  checkLabelSelector(errors, `${at}.objectSelector`, webhook.objectSelector)
  checkClientConfig(errors, `${at}.clientConfig`, webhook.clientConfig)
  const versions = webhook.admissionReviewVersions ?? []
  if (versions.length === 0)
    errors.push(required(`${at}.admissionReviewVersions`, 'must specify one of v1, v1beta1'))
  else if (!versions.includes('v1') && !versions.includes('v1beta1'))
    errors.push(
      invalid(`${at}.admissionReviewVersions`, versions, 'must include at least one of v1, v1beta1'),
    )
}

function checkClientConfig(errors: Errors, at: string, config: Webhook['clientConfig'] | undefined): void {
  const { url, service } = config ?? {}
  if ((url === undefined) === (service === undefined)) {
    errors.push(required(at, 'exactly one of url or service is required'))
    return
  }
  if (url !== undefined) checkUrl(errors, `${at}.url`, url)
  if (service === undefined) return
  if (!service.name) errors.push(required(`${at}.service.name`, 'service name is required'))
  if (!service.namespace) errors.push(required(`${at}.service.namespace`, 'service namespace is required'))
  if (service.port !== undefined && (service.port < 1 || service.port > 65535))
    errors.push(
      invalid(
        `${at}.service.port`,
        service.port,
        'port is not valid: must be between 1 and 65535, inclusive',
      ),
    )
}

function checkUrl(errors: Errors, field: string, text: string): void {
  const form = '; desired format: https://host[/path]'
  if (!URL.canParse(text)) {
    errors.push(required(field, `url must be a valid URL: ${text}${form}`))
    return
  }
  const url = new URL(text)
  if (url.protocol !== 'https:')
    errors.push(invalid(field, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme${form}`))
  if (url.host === '') errors.push(invalid(field, '', `host must be specified${form}`))
  if (url.username !== '')
    errors.push(invalid(field, url.username, 'user information is not permitted in the URL'))
  if (url.hash !== '')
    errors.push(invalid(field, url.hash.slice(1), 'fragments are not permitted in the URL'))
  if (url.search !== '')
    errors.push(invalid(field, url.search.slice(1), 'query parameters are not permitted in the URL'))
}
