import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { clientScript, type Probe } from './client-script.ts'

const probes: readonly (readonly [string, Probe, RegExp])[] = [
  ['HTTP', { kind: 'url', url: new URL('http://127.0.0.1:8080/a?b=1') }, /GET \/a\?b=1 HTTP\/1\.1\r\n/],
  ['HTTP on IPv6', { kind: 'url', url: new URL('http://[::1]/') }, /nc -w 5 '::1' 80 /],
  ['HTTPS', { kind: 'url', url: new URL("https://localhost/it's") }, /'https:\/\/localhost\/it'\\''s'/],
  ['TCP', { kind: 'tcp', port: 9_000 }, /nc -w 5 127\.0\.0\.1 9000 -e/],
  ['a command', { kind: 'exec', command: "echo 'x' && false" }, /sh -c 'echo '\\''x'\\'' && false'/],
]

describe('the script of the client', () => {
  it.each(probes)('asks over %s, in a language that sh knows', (_, probe, wanted) => {
    const script = clientScript(probe, 5)

    expect(script).toMatch(wanted)
    expect(spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' })).toMatchObject({
      status: 0,
      stderr: '',
    })
  })

  it('keeps a connection open where there is one', () => {
    expect(clientScript({ kind: 'tcp', port: 1 }, 5)).toContain('closed')
    expect(clientScript({ kind: 'exec', command: 'true' }, 5)).not.toContain('closed')
  })
})
