import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { buildImage, imageArchive } from './oci-image.ts'
import { pauseImage, pauseProgram } from './pause-image.ts'
import { packTar } from './tar.ts'

describe('packTar', () => {
  test('writes what tar reads', () => {
    const long = `${'d'.repeat(90)}/${'e'.repeat(90)}/file`
    const archive = packTar([
      { kind: 'directory', path: 'tmp', mode: 0o1777 },
      { kind: 'file', path: 'bin/sh', mode: 0o755, content: Buffer.from('x'.repeat(513)) },
      { kind: 'link', path: 'bin/ls', target: '/bin/busybox' },
      { kind: 'file', path: long, mode: 0o644, content: Buffer.alloc(0) },
    ])
    const listing = execFileSync('tar', ['-tv', '--numeric-owner', '-f', '-'], {
      input: archive,
      env: { TZ: 'UTC' },
    })
    expect(listing.toString().replace(/ +/g, ' ').trimEnd().split('\n')).toEqual([
      'drwxrwxrwt 0/0 0 1970-01-01 00:00 tmp/',
      '-rwxr-xr-x 0/0 513 1970-01-01 00:00 bin/sh',
      'lrwxrwxrwx 0/0 0 1970-01-01 00:00 bin/ls -> /bin/busybox',
      `-rw-r--r-- 0/0 0 1970-01-01 00:00 ${long}`,
    ])
  })

  test('refuses what does not fit', () => {
    const entry = { kind: 'directory', mode: 0o755, path: 'x'.repeat(120) } as const
    expect(() => packTar([entry])).toThrow(RangeError)
  })
})

describe('buildImage', () => {
  test('gives the same bytes for the same recipe, named by their digests', () => {
    const recipe = {
      reference: 'localhost/a:1',
      files: [{ kind: 'file', path: 'a', mode: 0o644, content: Buffer.from('a') }],
      architecture: 'amd64',
    } as const
    const [first, second] = [buildImage(recipe), buildImage(recipe)]
    expect(imageArchive(first)).toEqual(imageArchive(second))
    const digest = createHash('sha256').update(first.layer.content).digest('hex')
    expect(JSON.parse(first.config.content.toString())).toMatchObject({
      architecture: 'amd64',
      rootfs: { diff_ids: [`sha256:${digest}`] },
    })
  })
})

describe('pauseImage', () => {
  test('holds one tiny program', () => {
    expect(imageArchive(pauseImage('localhost/pause:1', 'amd64')).length).toBeLessThan(10_240)
    expect(pauseProgram('amd64').subarray(0, 4).toString('latin1')).toBe('\x7fELF')
    expect(pauseProgram('arm64').readUInt16LE(18)).toBe(183)
    expect(() => pauseProgram('riscv64')).toThrow('no pause program for riscv64 processors')
  })
})
