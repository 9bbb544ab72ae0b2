import type { AcceptedDifference } from './replay-transcript.ts'

type Accepted = Pick<AcceptedDifference, 'missing' | 'extra' | 'because'>

const pullFailure: Accepted = {
  missing: /Failed to pull image .* rpc error: code = NotFound/,
  extra: /Failed to pull image .* rpc error: /,
  because: 'there is no registry to say that the tag is missing',
}

/** Differences from the recorded lives that are right as they are; under `*` those of any life. */
export const acceptedLives: Readonly<Record<string, readonly Accepted[]>> = {
  '*': [
    {
      missing: /^KUBERNETES_/,
      because: 'containers are told of the API server only where an address of it leads out of the machine',
    },
    {
      missing: /FailedScheduling .*\b0\/1 nodes/,
      extra: /FailedScheduling .*\b0\/2 nodes/,
      because: 'the cluster has a virtual node besides',
    },
    { extra: /--profile=legacy is deprecated/, because: 'kubectl before 1.33 says so' },
    {
      missing: /\| BackOff \|/,
      extra: /\| BackOff \|/,
      because: 'whether a delay was begun before the pod went is a matter of the moment',
    },
    {
      missing: /\| Killing \| .* Stopping container/,
      extra: /\| Killing \| .* Stopping container/,
      because: 'whether a container that restarts runs when the pod goes is a matter of the moment',
    },
  ],
  ephemeral: [
    { missing: /^ *8 root +sh -c ps/, extra: /^ *\d+ root +sh -c ps/, because: 'process numbers are drawn' },
  ],
  'init-ok': [
    {
      missing: /^two$/,
      extra: /^two$/,
      because: 'kubectl orders containers by name in one version and by the spec in another',
    },
  ],
  'static-config': [
    {
      missing: /^v\|v\|$|touch|not found/,
      extra: /^v\|v\|$|touch|not found/,
      because: 'the order of the two streams is lost',
    },
  ],
  unschedulable: [
    { extra: /^node\/node-1 labeled$/, because: 'the recording has a note instead of the command' },
  ],
  'inplace-image': [
    pullFailure,
    {
      missing: /(Pulling|Successfully pulled) image "busybox:1.37"/,
      extra: /Container image "busybox:1.37" already present/,
      because: 'without a registry the image has to be there before',
    },
  ],
  'missing-image': [
    pullFailure,
    {
      missing: /image can't be pulled/,
      extra: /trying and failing to pull image/,
      because: 'it depends on whether the last attempt has just failed or the next one waits',
    },
  ],
  'host-network': [
    { missing: /^fe00::|^::1/, extra: /^fe00::|^::1/, because: 'the names of IPv6 differ between versions' },
  ],
  'readiness-http': [
    {
      missing: /"terminating"/,
      extra: /"terminating"/,
      because: 'it depends on how long the pod takes to go',
    },
  ],
  'volumes-update': [
    {
      missing: /ls -la/,
      extra: /ls -la/,
      because: 'contents that are not in memory have other sizes, modes and names of their folders',
    },
  ],
}
