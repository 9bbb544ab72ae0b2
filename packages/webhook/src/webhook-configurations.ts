import type {
  LabelSelector,
  MatchCondition,
  MutatingWebhookConfiguration,
  RuleWithOperations,
  ValidatingWebhookConfiguration,
} from '@outrigger/kube'

/** One entry of a webhook configuration, before it is known where the server is. */
export interface WebhookDeclaration {
  /** Three labels at least: `mpod.kb.io`. */
  readonly name: string
  readonly kind: 'mutating' | 'validating'
  /** The path of the handler. */
  readonly path: string
  readonly rules: RuleWithOperations[]
  readonly failurePolicy: 'Fail' | 'Ignore'
  readonly objectSelector?: LabelSelector
  readonly namespaceSelector?: LabelSelector
  /** CEL expressions that must all hold for the webhook to be asked. Defaults to none. */
  readonly matchConditions?: readonly MatchCondition[]
  /** Defaults to 10. */
  readonly timeoutSeconds?: number
}

/** How the API server reaches the server: through a Service, or at a URL (`https://host:port`, no path). */
export type WebhookTarget =
  | { readonly service: { readonly namespace: string; readonly name: string; readonly port?: number } }
  | { readonly url: string }

export interface ConfigurationNames {
  readonly mutating: string
  readonly validating: string
}

/** The two configurations for these declarations, in their order. Without `authorities` they say no caBundle. */
export function webhookConfigurations(
  names: ConfigurationNames,
  declarations: readonly WebhookDeclaration[],
  target: WebhookTarget,
  authorities: string,
): [MutatingWebhookConfiguration, ValidatingWebhookConfiguration] {
  const entries = (kind: WebhookDeclaration['kind']) =>
    declarations
      .filter((declaration) => declaration.kind === kind)
      .map(
        ({
          name,
          path,
          rules,
          failurePolicy,
          objectSelector,
          namespaceSelector,
          matchConditions = [],
          timeoutSeconds = 10,
        }) => ({
          name,
          clientConfig: clientConfig(target, path, authorities),
          rules,
          failurePolicy,
          matchPolicy: 'Equivalent' as const,
          sideEffects: 'None' as const,
          admissionReviewVersions: ['v1'],
          timeoutSeconds,
          objectSelector: objectSelector ?? {},
          namespaceSelector: namespaceSelector ?? {},
          ...(matchConditions.length > 0 && { matchConditions: [...matchConditions] }),
        }),
      )
  const apiVersion = 'admissionregistration.k8s.io/v1'
  return [
    {
      apiVersion,
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: names.mutating },
      webhooks: entries('mutating').map((entry) => ({ ...entry, reinvocationPolicy: 'Never' as const })),
    },
    {
      apiVersion,
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: names.validating },
      webhooks: entries('validating'),
    },
  ]
}

/** The client config of one path, for a webhook or a conversion. Without `authorities` it says no caBundle. */
export function clientConfig(target: WebhookTarget, path: string, authorities: string) {
  const bundle = authorities === '' ? {} : { caBundle: Buffer.from(authorities).toString('base64') }
  if ('url' in target) return { url: `${target.url.replace(/\/$/, '')}${path}`, ...bundle }
  const { namespace, name, port = 443 } = target.service
  return { service: { namespace, name, port, path }, ...bundle }
}
