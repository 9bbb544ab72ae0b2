import { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { type LeaderSettings, readLeaderSettings, withLeaderFlags } from './leader-flags.ts'

describe('flags of leader election', () => {
  it('elect by the manager’s own lease when nothing is said', () => {
    expect(read([])).toEqual({ leaderElection: true, lease: {} })
  })

  it('are those of Kubernetes’ components', () => {
    expect(
      read([
        '--leader-elect=true',
        '--leader-elect-lease-duration=1m30s',
        '--leader-elect-renew-deadline=40s',
        '--leader-elect-retry-period=500ms',
        '--leader-elect-resource-name=mine',
        '--leader-elect-resource-namespace=ops',
      ]),
    ).toEqual({
      leaderElection: true,
      lease: { duration: 90_000, renewDeadline: 40_000, retryPeriod: 500, name: 'mine', namespace: 'ops' },
    })
  })

  it('may be spelt as kruise-manager does, and Kubernetes’ spelling wins', () => {
    expect(
      read([
        '--leader-election-id=kruise',
        '--leader-election-namespace=',
        '--leader-election-lease-duration=20s',
        '--leader-elect-lease-duration=30s',
      ]).lease,
    ).toEqual({ name: 'kruise', duration: 30_000 })
  })

  it.each(['--no-leader-elect', '--leader-elect=false', '--enable-leader-election=false'])(
    'are switched off by %s',
    (flag) => {
      expect(read([flag]).leaderElection).toBe(false)
    },
  )

  it('say what is no duration', () => {
    expect(() => read(['--leader-elect-retry-period=soon'])).toThrow(
      '--leader-elect-retry-period soon is not a duration; give one such as --leader-elect-retry-period 90s',
    )
  })
})

function read(args: readonly string[]) {
  const command = withLeaderFlags(new Command('manager').exitOverride())
  return readLeaderSettings(command.parse([...args], { from: 'user' }).opts<LeaderSettings>())
}
