import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { isAlreadyExists } from '@outrigger/client'
import { resources } from '@outrigger/kube'
import { defaultNames } from '@outrigger/operator'
import { aNamespace, startTestCluster, type TestCluster } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasProgram } from '../clients/program.ts'

const root = resolve(import.meta.dirname, '../..')
const program = join(root, 'apps/outrigger/bin/outrigger.mjs')

/** The commands of each section, with its title. */
const sections = readFileSync(join(root, 'examples/README.md'), 'utf8')
  .split(/^## /m)
  .slice(1)
  .map((section) => ({
    title: section.slice(0, section.indexOf('\n')),
    commands: [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, text = '']) => text).join(''),
  }))

/** What each section must have printed. */
const printed: Readonly<Record<string, readonly RegExp[]>> = {
  'cold-update': [
    /^ {2}in place +4 /m,
    /^sidecarset "cold-collector" successfully rolled out$/m,
    /^2 +cold-collector-\S+ \(current\) +<none> +4 +collector=busybox:1\.37$/m,
    /^sidecarset.apps.kruise.io\/cold-collector rolled back to revision 1$/m,
  ],
  'change-classes': [
    /^ {2}resized in place +3 /m,
    /^48Mi 0\n48Mi 0\n48Mi 0$/m,
    /^ {2}made anew +3 /m,
    /^sidecarset "class-agent" successfully rolled out$/m,
    /Evicted for its owner to make it anew with revision class-agent-\S+ of SidecarSet class-agent$/m,
  ],
  'drained-update': [
    /in place +only images differ; drained for 3s first$/m,
    /^sidecarset "drained-proxy" successfully rolled out$/m,
    /^drained-\S+ +2\/2 +Running +1 .* 1\/1$/m,
  ],
  'hot-upgrade': [/^mesh-1 busybox:1\.35\nmesh-2 busybox:1\.37\nmain busybox:1\.36$/m],
  'native-sidecar': [
    /init container proxy \(busybox:1\.36\) from SidecarSet native-proxy/,
    /^job.batch\/native-report condition met$/m,
  ],
  'virtual-node-job': [/^job.batch\/virtual-report condition met$/m, / virtual-1 /],
  'canary-by-revision': [
    /^partitioned roll out complete: 1 pod updated, 2 keep older content$/m,
    /^1 +canary-agent-\S+ +v1 +3 +agent=busybox:1\.36$/m,
    /^2 +canary-agent-\S+ \(current\) +v2 +1 +agent=busybox:1\.37$/m,
    /^sidecarset "canary-agent" successfully rolled out$/m,
  ],
  tracks: [
    /^sidecarset "lane-agent" successfully rolled out \[tracks: steady 4 of 4, on none 2 of 2\]$/m,
    /^sidecarset "lane-agent" successfully rolled out \[tracks: steady 3 of 3, second 1 of 1, on none 2 of 2\]$/m,
    /^ {4}second +customVersion v2 +25% of all pods +1 pod, 1 of them with it, 1 of those ready$/m,
    /; on track second \(customVersion v2\), with 25% of all pods, decided by its name default\/store-5$/m,
    /^store-1 +busybox:1\.37$/m,
    /^store-4 +busybox:1\.35$/m,
    /^store-5 +busybox:1\.36$/m,
    /^sidecarset "lane-agent" successfully rolled out$/m,
  ],
  'filebeat-echo-server': [
    /create a SidecarSetResourceBinding in namespace kube-system/,
    / stderr F .*Server is listening on :8080$/m,
  ],
}

it('every section of examples/README.md says what it must print', () => {
  expect(sections.map(({ title }) => title).sort()).toEqual(Object.keys(printed).sort())
})

describe.skipIf(!hasProgram('kubectl', 'version', '--client'))('the commands of examples/README.md', () => {
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-examples-'))
  let cluster: TestCluster

  beforeAll(async () => {
    // As in `outrigger up`.
    cluster = await startTestCluster({ manager: { recreatesPods: true } })
    // Where the manager keeps revisions; `outrigger up` and `outrigger install` make it.
    await cluster.admin
      .create(resources.namespaces, aNamespace(defaultNames.namespace))
      .catch((error: unknown) => {
        if (!isAlreadyExists(error)) throw error
      })
    writeFileSync(join(directory, 'kubeconfig'), cluster.kubeconfig())
    writeFileSync(join(directory, 'outrigger'), `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`, {
      mode: 0o755,
    })
  })
  afterAll(async () => {
    await cluster?.stop()
    rmSync(directory, { recursive: true })
  })

  /** Runs shell commands from the root of the repository; fails with what was said when one of them does. */
  const run = (commands: string) =>
    new Promise<string>((done, fail) => {
      const environment = {
        ...process.env,
        HOME: directory,
        PATH: `${directory}:${process.env['PATH']}`,
        KUBECONFIG: join(directory, 'kubeconfig'),
      }
      const options = { cwd: root, env: environment, timeout: 110_000 }
      execFile('/bin/sh', ['-eu', '-c', commands], options, (error, out, said) =>
        error === null ? done(out) : fail(new Error(`${error.message}\n${out}\n${said}`)),
      )
    })

  it.each(sections)('$title', async ({ title, commands }) => {
    const out = await run(commands)
    for (const expected of printed[title] ?? []) expect(out).toMatch(expected)
  })
})
