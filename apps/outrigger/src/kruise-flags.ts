import { UserError } from '@outrigger/foundation'
import { type Command, Option } from 'commander'

/**
 * Flags of kruise-manager that charts and kustomizations pass and that mean nothing here: accepted, so that
 * a Deployment made for it starts, and named once in the log.
 */
const accepted = [
  'allow-privileged',
  'alsologtostderr',
  'assign-bcj-pods-by-scheduler',
  'assign-pods-by-scheduler',
  'cloneset-scaling-exclude-preparing-delete',
  'controller-cache-sync-timeout',
  'default-ttlseconds-for-always-nodeimage',
  'disable-no-deepcopy',
  'enable-pprof',
  'expectation-timeout',
  'leader-election-resource-lock',
  'log-flush-frequency',
  'log-json-info-buffer-size',
  'log-json-split-stream',
  'log-text-info-buffer-size',
  'log-text-split-stream',
  'log_dir',
  'logtostderr',
  'namespace',
  'nodeimage-creation-delay',
  'pprof-addr',
  'protection-log-path',
  'rate-limiter-base-delay',
  'rate-limiter-bucket-size',
  'rate-limiter-max-delay',
  'rate-limiter-qps',
  'rest-config-burst',
  'rest-config-qps',
  'stderrthreshold',
  'sync-period',
  'vmodule',
  'webhook-initialize-timeout',
  'ws-enabled-versioned-status',
  ...[
    'advancedcronjob',
    'broadcastjob',
    'cloneset',
    'crr',
    'daemonset',
    'imagepulljob',
    'nodeimage',
    'nodepodprobe',
    'persistentpodstate',
    'podprobemarker',
    'podunavailablebudget',
    'resourcedistribution',
    'sidecarterminator',
    'statefulset',
    'uniteddeployment',
    'workloadspread',
  ].map((controller) => `${controller}-workers`),
]

/** Lets a command take kruise-manager's other flags. They do not show in its help. */
export function acceptKruiseFlags(command: Command): Command {
  for (const name of accepted) command.addOption(new Option(`--${name} [value]`).hideHelp())
  return command
}

/** Those of the accepted flags that were given, as they are spelt. */
export function ignoredFlags(command: Command): string[] {
  return accepted
    .filter((name) => {
      const option = command.options.find(({ long }) => long === `--${name}`)
      return option !== undefined && command.getOptionValueSource(option.attributeName()) === 'cli'
    })
    .map((name) => `--${name}`)
}

/** Gates of kruise-manager: those that decide something here, and what they decide when nobody says. */
const meaningful = {
  EnableExternalCerts: false,
  EnableSortSidecarContainerByName: false,
  SidecarSetPatchPodMetadataDefaultsAllowed: false,
} as const

export type ManagerGate = keyof typeof meaningful

/** Gates that belong to parts of OpenKruise that are not part of this product. */
const foreign = new Set([
  'AllAlpha',
  'AllBeta',
  'CloneSetEventHandlerOptimization',
  'CloneSetPartitionRollback',
  'CloneSetShortHash',
  'DaemonSetPruneIneligibleNodes',
  'DaemonWatchingPod',
  'DefaultHostNetworkHostPortsInPodTemplates',
  'DeletionProtectionForCRDCascadingGate',
  'EnablePodProbeMarkerOnServerless',
  'EnhancedLivenessProbe',
  'ForceDeleteTimeoutExpectationGate',
  'ImagePullJobGate',
  'InPlacePodVerticalScaling',
  'InPlaceUpdateEnvFromMetadata',
  'InPlaceWorkloadVerticalScaling',
  'KruiseDaemon',
  'KruisePodReadinessGate',
  'PodIndexLabel',
  'PodProbeMarkerGate',
  'PodUnavailableBudgetDeleteGate',
  'PodUnavailableBudgetUpdateGate',
  'PodWebhook',
  'PreDownloadImageForDaemonSetUpdate',
  'PreDownloadImageForInPlaceUpdate',
  'PreparingUpdateAsUpdate',
  'RecreatePodWhenChangeVCTInCloneSetGate',
  'ResourceDistributionGate',
  'ResourcesDeletionProtection',
  'SidecarTerminator',
  'StatefulSetAutoDeletePVC',
  'StatefulSetAutoResizePVCGate',
  'StatefulSetStartOrdinal',
  'TemplateNoDefaults',
  'WorkloadSpread',
])

export interface ManagerGates {
  readonly gates: Readonly<Record<ManagerGate, boolean>>
  /** Gates that were named and decide nothing here. */
  readonly ignored: readonly string[]
}

/**
 * Reads what `--feature-gates` named, as kruise-manager does: `AllAlpha` sets the alpha gates nobody named, and a name
 * that nobody knows stops the start. @throws UserError that names it.
 */
export function readManagerGates(given: Readonly<Record<string, boolean>>): ManagerGates {
  const unknown = Object.keys(given).filter((name) => !foreign.has(name) && !Object.hasOwn(meaningful, name))
  if (unknown.length > 0) {
    throw new UserError(
      `--feature-gates names ${unknown.join(', ')}, which nobody knows`,
      `known are ${Object.keys(meaningful).join(', ')} and those of OpenKruise`,
    )
  }
  const all = given['AllAlpha'] ?? false
  const isOn = (name: ManagerGate) => given[name] ?? (all || meaningful[name])
  return {
    gates: {
      EnableExternalCerts: isOn('EnableExternalCerts'),
      EnableSortSidecarContainerByName: isOn('EnableSortSidecarContainerByName'),
      SidecarSetPatchPodMetadataDefaultsAllowed: isOn('SidecarSetPatchPodMetadataDefaultsAllowed'),
    },
    ignored: Object.keys(given).filter((name) => foreign.has(name) && name !== 'AllAlpha'),
  }
}
