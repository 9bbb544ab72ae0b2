import { customResourceDefinitions } from '@outrigger/api'
import { formatYaml } from '@outrigger/kube'
import {
  defaultNames,
  evictionRules,
  managerRules,
  overflowReplacementRules,
  virtualNodeRules,
} from '@outrigger/operator'

const mark = '# Made by tools/generate-chart.ts. Do not edit.\n'

/** Files of the chart that follow from the code, by path below charts/outrigger. */
export function chartFiles(): ReadonlyMap<string, string> {
  const rules = managerRules({
    webhookConfigurations: [defaultNames.webhooks.mutating, defaultNames.webhooks.validating],
    certificateSecret: defaultNames.certificateSecret,
  })
  const definitions = customResourceDefinitions().map((definition): [string, string] => [
    `files/crds/${definition.metadata.name}.yaml`,
    mark +
      formatYaml({
        ...definition,
        // Removing the chart must not remove everybody's SidecarSets.
        metadata: { ...definition.metadata, annotations: { 'helm.sh/resource-policy': 'keep' } },
      }),
  ])
  return new Map([
    ...definitions,
    ['files/rules/manager.yaml', mark + formatYaml({ rules: rules.cluster })],
    ['files/rules/manager-namespace.yaml', mark + formatYaml({ rules: rules.ownNamespace })],
    ['files/rules/manager-replacing.yaml', mark + formatYaml({ rules: overflowReplacementRules() })],
    ['files/rules/manager-evicting.yaml', mark + formatYaml({ rules: evictionRules() })],
    ['files/rules/virtual-nodes.yaml', mark + formatYaml({ rules: virtualNodeRules() })],
  ])
}
