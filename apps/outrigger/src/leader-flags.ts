import type { ManagerLeaseOptions } from '@outrigger/operator'
import { type Command, Option } from 'commander'
import { parseDuration } from './rollout/parse-duration.ts'
import { parseChoice } from './settings.ts'

type Switch = 'true' | 'false' | boolean

/** What the flags of leader election say, in the spellings of Kubernetes' components and of kruise-manager. */
export interface LeaderSettings {
  readonly leaderElect?: Switch
  readonly leaderElectLeaseDuration?: number
  readonly leaderElectRenewDeadline?: number
  readonly leaderElectRetryPeriod?: number
  readonly leaderElectResourceName?: string
  readonly leaderElectResourceNamespace?: string
  readonly enableLeaderElection?: Switch
  readonly leaderElectionLeaseDuration?: number
  readonly leaderElectionRenewDeadline?: number
  readonly leaderElectionRetryPeriod?: number
  readonly leaderElectionId?: string
  readonly leaderElectionNamespace?: string
}

/** Adds the flags; kruise-manager's spellings do not show in the help, but for its switch. */
export function withLeaderFlags(command: Command): Command {
  const duration = (flag: string) => parseDuration(flag)
  const kruise = (flags: string, parse?: (text: string) => number) => {
    const option = new Option(flags).hideHelp()
    command.addOption(parse === undefined ? option : option.argParser(parse))
  }
  command
    .option(
      '--leader-elect [bool]',
      'elect a leader among the replicas; false is for a single one (default: true)',
      parseChoice('--leader-elect', ['true', 'false']),
    )
    .option('--no-leader-elect', 'the same as --leader-elect=false')
    .option(
      '--enable-leader-election [bool]',
      'the same, as kruise-manager spells it',
      parseChoice('--enable-leader-election', ['true', 'false']),
    )
    .option(
      '--leader-elect-lease-duration <duration>',
      'how long others wait for a leader that is not heard of (default: 15s)',
      duration('--leader-elect-lease-duration'),
    )
    .option(
      '--leader-elect-renew-deadline <duration>',
      'how long a leader tries to renew its lease; less than its duration (default: 10s)',
      duration('--leader-elect-renew-deadline'),
    )
    .option(
      '--leader-elect-retry-period <duration>',
      'pause between attempts; less than the deadline divided by 1.2 (default: 2s)',
      duration('--leader-elect-retry-period'),
    )
    .option('--leader-elect-resource-name <name>', 'name of the lease (default: kruise-manager)')
    .option(
      '--leader-elect-resource-namespace <name>',
      "namespace of the lease (default: the manager's, where alone install gives rights)",
    )
  kruise('--leader-election-lease-duration <duration>', duration('--leader-election-lease-duration'))
  kruise('--leader-election-renew-deadline <duration>', duration('--leader-election-renew-deadline'))
  kruise('--leader-election-retry-period <duration>', duration('--leader-election-retry-period'))
  kruise('--leader-election-id <name>')
  kruise('--leader-election-namespace <name>')
  return command
}

/** Whether replicas elect a leader, and by which lease; times that nobody gave are left to the manager. */
export function readLeaderSettings(settings: LeaderSettings): {
  readonly leaderElection: boolean
  readonly lease: ManagerLeaseOptions
} {
  const isOff = (value: Switch | undefined) => value === false || value === 'false'
  const lease = {
    duration: settings.leaderElectLeaseDuration ?? settings.leaderElectionLeaseDuration,
    renewDeadline: settings.leaderElectRenewDeadline ?? settings.leaderElectionRenewDeadline,
    retryPeriod: settings.leaderElectRetryPeriod ?? settings.leaderElectionRetryPeriod,
    name: settings.leaderElectResourceName ?? settings.leaderElectionId,
    namespace: settings.leaderElectResourceNamespace ?? settings.leaderElectionNamespace,
  }
  return {
    leaderElection: !isOff(settings.leaderElect) && !isOff(settings.enableLeaderElection),
    // What was not given must not be there, or it would hide the manager's own defaults.
    lease: Object.fromEntries(
      Object.entries(lease).filter(([, value]) => value !== undefined && value !== ''),
    ),
  }
}
