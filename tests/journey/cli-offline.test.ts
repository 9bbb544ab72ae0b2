import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Deployment, parseManifests } from '@outrigger/kube'
import { describe, expect, it, onTestFinished } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const program = resolve(root, 'apps/outrigger/bin/outrigger.mjs')
const example = 'examples/filebeat-echo-server'

interface Run {
  readonly out: string
  readonly error: string
  readonly exitCode: number
}

/** Runs the built program as a user does, from the root of the repository. */
function outrigger(args: readonly string[], input = ''): Promise<Run> {
  return new Promise((done) => {
    const child = execFile(process.execPath, [program, ...args], { cwd: root }, (failure, out, error) =>
      done({ out, error, exitCode: failure === null ? 0 : Number(failure.code) }),
    )
    child.stdin?.end(input)
  })
}

describe('the built program, without a cluster', () => {
  it('injects the example of the guide', async () => {
    const { out, error, exitCode } = await outrigger(['inject', '-f', example])
    expect([error, exitCode]).toEqual(['', 0])
    const objects = parseManifests(out).map(({ object }) => object)
    const deployment = objects.find(({ kind }) => kind === 'Deployment') as Deployment | undefined
    const { metadata, spec } = deployment?.spec.template ?? {}
    expect(metadata?.labels).toMatchObject({ 'serverless.alibabacloud.com/virtual-node': 'true' })
    expect(spec?.containers.map(({ name }) => name)).toEqual(['filebeat', 'echo-server'])
    expect(spec?.volumes?.map(({ name }) => name)).toEqual(['filebeat-config', 'stdlog'])
    expect(objects).toHaveLength(4)
    const untouched = await readFile(resolve(root, example, '2-filebeat-sidecarset.yaml'), 'utf8')
    expect(out).toContain(untouched)
  })

  it('reads a manifest from a pipe and explains it', async () => {
    const manifest = await readFile(resolve(root, example, '4-echo-server.yaml'), 'utf8')
    const { out } = await outrigger(['inject', '-f', '-', '-s', example, '--explain'], manifest)
    expect(out).toContain('Deployment default/echo-server (<stdin>:2)')
    expect(out).toContain('granted  ConfigMap kube-system/filebeat-config')
  })

  it('prints a diff without colors into a pipe', async () => {
    const { out } = await outrigger(['inject', '-f', example, '--diff'])
    expect(out).toMatch(
      /^--- a\/Deployment\/default\/echo-server\n\+\+\+ b\/Deployment\/default\/echo-server\n@@ /,
    )
    expect(out).not.toContain('\u001b')
  })

  it('finds nothing wrong with the example, and says so by silence', async () => {
    expect(await outrigger(['lint', '-f', example])).toEqual({ out: '', error: '', exitCode: 0 })
  })

  it('ends with 1 and one line where it is given nothing to work with', async () => {
    for (const command of ['inject', 'lint', 'plan']) {
      expect(await outrigger([command, '-f', 'no-such-file.yaml'])).toEqual({
        out: '',
        error: 'outrigger: no-such-file.yaml does not exist; check the path after -f or -s\n',
        exitCode: 1,
      })
    }
  })

  it('ends without a word when its reader has gone', async () => {
    const source = resolve(root, example)
    const child = spawn(process.execPath, [program, 'inject', '-f', '-', '-s', source], { cwd: root })
    let error = ''
    child.stderr.on('data', (chunk: Buffer) => {
      error += chunk.toString()
    })
    // Gone before the program has read what it is to print.
    child.stdout.destroy()
    const ended = once(child, 'close')
    child.stdin.end(await readFile(resolve(root, example, '4-echo-server.yaml')))
    expect([await ended, error]).toEqual([[141, null], ''])
  })

  it('says so when its output cannot be kept', async ({ skip }) => {
    if (!existsSync('/dev/full')) skip('this machine has no full device')
    const full = openSync('/dev/full', 'w')
    const child = spawn(process.execPath, [program, 'inject', '-f', example], {
      cwd: root,
      stdio: ['ignore', full, 'pipe'],
    })
    closeSync(full)
    let error = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      error += chunk.toString()
    })
    expect(await once(child, 'close')).toEqual([1, null])
    expect(error).toMatch(/^outrigger: the output cannot be written: ENOSPC.*\n$/)
  })

  it.each(['manager', 'node --runtime sim --port 0', 'control-plane', 'install --apply', 'uninstall --yes'])(
    '%s ends with 1 and one line where nobody answers',
    async (command) => {
      const folder = await mkdtemp(join(tmpdir(), 'outrigger-nobody-'))
      onTestFinished(() => rm(folder, { recursive: true, force: true }))
      const kubeconfig = join(folder, 'kubeconfig')
      const cluster = { server: 'https://127.0.0.1:1' }
      await writeFile(
        kubeconfig,
        JSON.stringify({
          ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'a' },
          clusters: [{ name: 'a', cluster }],
          users: [{ name: 'a', user: { token: 'a' } }],
          contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
        }),
      )
      const dataFolder = command.startsWith('node') ? ['--data-dir', join(folder, 'node')] : []
      const run = await outrigger([...command.split(' '), ...dataFolder, '--kubeconfig', kubeconfig])
      expect(run).toMatchObject({ out: '', exitCode: 1 })
      expect(run.error).toMatch(/^outrigger: the cluster does not answer: cannot connect to https:.*\n$/)
    },
  )

  it('ends with 1 and one line where there is no cluster', async () => {
    const kubeconfig = resolve(root, 'no-such-kubeconfig')
    const run = await outrigger(['rollout', 'status', 'sidecarset/logs', '--kubeconfig', kubeconfig])
    expect(run).toMatchObject({ out: '', exitCode: 1 })
    expect(run.error).toMatch(/^outrigger: .*no-such-kubeconfig.*\n$/)
  })
})
