import { formatYaml } from '@outrigger/kube'
import { installManifests } from '@outrigger/operator'
import type { Command } from 'commander'
import type { Environment } from '../environment.ts'
import { parseChoice } from '../settings.ts'

interface InstallSettings {
  readonly namespace?: string
  readonly output: 'yaml' | 'json'
}

export function addInstallCommand(program: Command, environment: Environment): void {
  program
    .command('install')
    .description('print what a cluster needs before the manager starts there: definitions, rights, service')
    .option('--namespace <name>', 'namespace of the manager (default: kruise-system)')
    .option('-o, --output <format>', 'yaml or json', parseChoice('-o', ['yaml', 'json']), 'yaml')
    .action(({ namespace, output }: InstallSettings) => {
      const objects = installManifests(namespace === undefined ? {} : { namespace })
      const text =
        output === 'json'
          ? `${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, undefined, 2)}\n`
          : objects.map((object) => formatYaml(object)).join('---\n')
      environment.writeOut(text)
    })
}
