import type { Command } from 'commander'
import type { Environment } from '../environment.ts'
import { formatFinding } from '../lint/finding.ts'
import { lintManifests } from '../lint/lint-manifests.ts'
import { readManifests, refuseNothing } from '../manifests/manifest-files.ts'
import { countOf } from '../rendering/count.ts'
import { paintFor } from '../rendering/paint.ts'
import { collect, parseChoice } from '../settings.ts'

interface LintSettings {
  readonly filename: readonly string[]
  readonly namespace: string
  readonly output: 'text' | 'json'
}

export function addLintCommand(program: Command, environment: Environment): void {
  program
    .command('lint')
    .description('check SidecarSets, resource bindings and pods as admission would, without a cluster')
    .requiredOption(
      '-f, --filename <path>',
      'manifests: file, folder, or - for standard input; repeatable',
      collect((text) => text),
    )
    .option('-n, --namespace <name>', 'namespace of manifests that name none', 'default')
    .option('-o, --output <format>', 'text or json', parseChoice('-o', ['text', 'json']), 'text')
    .addHelpText(
      'after',
      '\nExit code 1 if there are errors; warnings alone leave it 0.\n\nExample:\n  outrigger lint -f manifests/',
    )
    .action((settings: LintSettings) => lint(settings, environment))
}

async function lint(settings: LintSettings, environment: Environment): Promise<void> {
  const manifests = await readManifests(settings.filename, environment)
  refuseNothing(manifests, settings.filename)
  const findings = lintManifests(manifests, settings.namespace)
  const errors = findings.filter(({ severity }) => severity === 'error').length
  if (errors > 0) environment.setExitCode(1)
  if (settings.output === 'json') {
    environment.writeOut(`${JSON.stringify(findings, undefined, 2)}\n`)
    return
  }
  const paint = paintFor(environment)
  environment.writeOut(findings.map((finding) => formatFinding(finding, paint)).join(''))
  if (environment.isTerminal)
    environment.writeOut(
      `${countOf(manifests.length, 'object')}, ${countOf(errors, 'error')}, ${countOf(findings.length - errors, 'warning')}\n`,
    )
}
