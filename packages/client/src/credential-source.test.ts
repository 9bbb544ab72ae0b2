import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatTime, UserError } from '@outrigger/foundation'
import { ManualClock, MemoryLogger } from '@outrigger/foundation/testing'
import { afterAll, describe, expect, test } from 'vitest'
import type { Credentials } from './connection-config.ts'
import { CredentialSource } from './credential-source.ts'

const hour = 3_600_000

describe('CredentialSource', () => {
  test('runs a plugin once and again before its credential expires', async () => {
    const clock = new ManualClock()
    const plugin = aPlugin(
      `cat ${aFile(credential({ token: 't', expirationTimestamp: formatTime(clock.now() + hour) }))}`,
    )
    const { source } = aSource({ exec: plugin.exec }, clock)

    await Promise.all([source.identity(), source.identity()])
    await clock.advance(hour - 20_000)
    expect((await source.identity()).headers).toEqual({ authorization: 'Bearer t' })
    expect(plugin.runs()).toBe(1)

    await clock.advance(15_000)
    await source.identity()
    expect(plugin.runs()).toBe(2)
  })

  test('takes a certificate from a plugin and has connections made anew', async () => {
    const plugin = aPlugin(
      `cat ${aFile(credential({ clientCertificateData: 'cert', clientKeyData: 'key' }))}`,
    )
    const { source, renewals } = aSource({ exec: plugin.exec })

    expect((await source.identity()).headers).toEqual({})
    expect(source.material.clientCertificate).toEqual({ certificate: 'cert', key: 'key' })
    expect(renewals()).toBe(1)
  })

  test('tells the plugin what it is asked for', async () => {
    const file = aFile('')
    const plugin = aPlugin(`echo "$KUBERNETES_EXEC_INFO" > ${file}; cat ${aFile(credential({ token: 't' }))}`)
    const { source } = aSource({ exec: { ...plugin.exec, cluster: { server: 'https://x' } } })
    await source.identity()

    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      spec: { interactive: false, cluster: { server: 'https://x' } },
    })
  })

  test.each([
    ['fails', 'echo secret >&2; exit 3', /plugin .* failed; run .* by hand to see why/],
    ['prints no JSON', 'echo secret', /did not print JSON/],
    ['prints another kind', `echo '{"kind":"Secret"}'`, /did not print an ExecCredential/],
    ['prints nothing of use', `cat ${aFile(credential({}))}`, /printed neither a token nor a certificate/],
  ])('says that a plugin %s, and not what it printed', async (_, script, message) => {
    const { source } = aSource({ exec: aPlugin(script).exec })

    const error = await source.identity().catch((thrown: unknown) => thrown)

    expect(error).toBeInstanceOf(UserError)
    expect(String(error)).toMatch(message)
    expect(String(error)).not.toContain('secret')
  })

  test('gives the hint of a plugin that is missing', async () => {
    const exec = { ...aPlugin('').exec, command: '/nowhere/login', installHint: 'install it from the shop' }

    await expect(aSource({ exec }).source.identity()).rejects.toThrow(
      'the credential plugin /nowhere/login is not installed; install it from the shop',
    )
  })

  test('keeps the last token while its file is being replaced', async () => {
    const tokenFile = aFile('one')
    const { source, clock } = aSource({ tokenFile })
    await source.identity()
    writeFileSync(tokenFile, '')
    await clock.advance(61_000)
    expect((await source.identity()).headers).toEqual({ authorization: 'Bearer one' })

    writeFileSync(tokenFile, 'two\n')
    await clock.advance(61_000)
    expect((await source.identity()).headers).toEqual({ authorization: 'Bearer two' })
  })

  test('uses what a plugin gave until it expires when the plugin fails', async () => {
    const clock = new ManualClock()
    const file = aFile(credential({ token: 't', expirationTimestamp: formatTime(clock.now() + hour) }))
    const { source } = aSource({ exec: aPlugin(`cat ${file}`).exec }, clock)
    await source.identity()
    rmSync(file)

    await clock.advance(hour - 5_000)
    expect((await source.identity()).headers).toEqual({ authorization: 'Bearer t' })
    await clock.advance(6_000)
    await expect(source.identity()).rejects.toThrow(UserError)
  })

  test('runs a plugin once for all calls that were refused', async () => {
    const plugin = aPlugin(`cat ${aFile(credential({ token: 't' }))}`)
    const { source } = aSource({ exec: plugin.exec })
    const used = await source.identity()

    const again = await Promise.all(
      Array.from({ length: 20 }, async () => [await source.reject(used), (await source.identity()).version]),
    )
    // One that was slow to be refused.
    await source.reject(used)
    await source.identity()

    expect(new Set(again.map(String))).toEqual(new Set(['true,2']))
    expect(plugin.runs()).toBe(2)
  })

  test('does not ask again as the same', async () => {
    const tokenFile = aFile('one')
    const { source } = aSource({ tokenFile })
    const one = await source.identity()

    expect(await source.reject(one)).toBe(false)
    writeFileSync(tokenFile, 'two')
    expect(await source.reject(one)).toBe(true)
    expect((await source.identity()).headers).toEqual({ authorization: 'Bearer two' })
    const fixed = aSource({ token: 't' }).source
    expect(await fixed.reject(await fixed.identity())).toBe(false)
  })

  test('impersonates', async () => {
    const { source } = aSource({
      token: 't',
      impersonate: {
        user: 'jane',
        groups: ['a', 'b'],
        uid: '7',
        extra: { 'example.com/Scopes': ['x', 'y'], 'ü%': ['z'] },
      },
    })

    expect((await source.identity()).headers).toEqual({
      authorization: 'Bearer t',
      'impersonate-user': 'jane',
      'impersonate-group': ['a', 'b'],
      'impersonate-uid': '7',
      'impersonate-extra-example.com%2Fscopes': ['x', 'y'],
      'impersonate-extra-%C3%BC%25': ['z'],
    })
  })
})

const credential = (status: Record<string, string>) =>
  JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status })

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

function aFile(content: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'credential-'))
  folders.push(folder)
  const path = join(folder, 'file')
  writeFileSync(path, content)
  return path
}

/** A shell script that notes each of its runs. */
function aPlugin(script: string) {
  const log = aFile('')
  const command = aFile(`#!/bin/sh\necho run >> ${log}\n${script}\n`)
  chmodSync(command, 0o755)
  return {
    exec: {
      apiVersion: 'client.authentication.k8s.io/v1',
      command,
      args: [],
      environment: { PATH: '/usr/bin:/bin' },
    },
    runs: () => readFileSync(log, 'utf8').split('\n').length - 1,
  }
}

function aSource(credentials: Credentials, clock = new ManualClock()) {
  let renewals = 0
  const source = new CredentialSource({
    config: { server: 'https://api.test', credentials },
    clock,
    logger: new MemoryLogger(),
    onNewCertificate: () => {
      renewals++
    },
  })
  return { source, clock, renewals: () => renewals }
}
