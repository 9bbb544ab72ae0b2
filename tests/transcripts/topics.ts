import type { AcceptedDifference, Topic } from './replay-transcript.ts'

const web = 'kubectl rollout status deployment/web --timeout=60s'

const kubectl = 'the kubectl that is installed may be of another version than the recorded one'

/** Right in any of the sessions. */
const anywhere: readonly AcceptedDifference[] = [
  { missing: /^Error: |^error: unknown/, extra: /^Error: unknown/, because: kubectl },
  { missing: /allowed formats are:/, extra: /allowed formats are:/, because: kubectl },
  {
    missing: /^ *Image ID: +docker.io|^ *imageID: docker.io/,
    extra: /^ *Image ID: +sha256|^ *imageID: sha256/,
    because: 'an image that was imported, not pulled, has no digest of a registry',
  },
  {
    missing: /^\s*(Host )?Ports?:/,
    extra: /^\s*(Host )?Ports?:/,
    because: `${kubectl}: names of ports are printed since 1.33`,
  },
  { missing: /^ +Optional: +false$/, extra: /ConfigMapOptional: +<nil>/, because: kubectl },
  {
    missing: /^Waiting for deployment/,
    extra: /^Waiting for deployment/,
    because: 'how many steps of a rollout are seen is a matter of time',
  },
  { missing: /^Warning: .* was previously managed with 'kubectl apply'/, because: kubectl },
]

/** The recorded sessions, with what was done out of sight of the recording. */
export const topics: Readonly<Record<string, Topic>> = {
  apply: {},
  get: {
    accepted: [
      { command: /kyaml/, missing: /./, extra: /unable to match a printer/, exit: true, because: kubectl },
      {
        command: /get nodes?\b/,
        missing: /^node-1/,
        extra: /^(node-1|virtual-kubelet-local-a) /,
        because: 'the cluster has a virtual node besides, and says which kubelet it is',
      },
      { command: /get ns/, extra: /^kruise-system/, because: 'the manager has a namespace of its own' },
      {
        command: /get pod solo -o yaml/,
        missing: /^ *resources: \{\}$/,
        because: 'the recorded status also repeats an empty pod-level resources',
      },
      {
        command: /timeout -s INT 4/,
        missing: /^(MODIFIED|DELETED) +solo/,
        extra: /^(MODIFIED|DELETED) +solo/,
        because: 'how much of the deletion is seen is a matter of time',
      },
    ],
    preparations: [
      {
        before: 'kubectl get pods',
        shell: `set -e; kubectl apply -f web.yaml; kubectl expose deployment web --port=80 --target-port=8080
          kubectl run solo --image=busybox:1.36 --restart=Never --labels=app=solo,tier=x -- sleep 3600
          kubectl create configmap c --from-literal=a=1 --from-literal=b=2; kubectl label configmap c x=y
          ${web}; kubectl wait --for=condition=Ready pod/solo --timeout=60s; sleep 1`,
      },
      {
        before: 'timeout -s INT 4',
        shell:
          'sleep 1; kubectl label pod solo new=1; sleep 0.5; kubectl label pod solo new-; kubectl delete pod solo --grace-period=1',
        meanwhile: true,
      },
    ],
  },
  describe: {
    accepted: [
      {
        command: /describe pod fu$/,
        extra: /^$/,
        because: 'kubectl ends what it finds by a prefix with a line',
      },
      {
        command: /describe node/,
        missing: /^Annotations: +node\.alpha|^ +volumes\.kubernetes\.io\/controller-managed|^ +Hostname: /,
        extra: /^Annotations: +<none>$/,
        because: 'no controller attaches volumes here, and the node is called otherwise than its machine',
      },
      {
        command: /describe node/,
        missing: /^ +(hugepages-\w+:? |ephemeral-storage: +<n>Ki)/,
        extra: /^ +ephemeral-storage: +\d+Gi$/,
        because: 'the node offers what it was told to, and no huge pages',
      },
      {
        command: /describe node/,
        missing: /^ +Kubelet Version: +v1\.36\.2$/,
        extra: /^ +Kubelet Version: +v1\.36\.2-outrigger$|^ +Kube-Proxy Version: *$/,
        because: `the version says which kubelet it is; ${kubectl}`,
      },
      {
        command: /describe node/,
        extra:
          /^ +Normal +(Starting|NodeHasSufficientMemory|NodeHasNoDiskPressure|NodeHasSufficientPID|NodeReady) /,
        because: 'the recorded node was started more than an hour before',
      },
      {
        command: /describe pod crash/,
        missing: /State: +Terminated|Reason: +Error|Exit Code|Started|Finished/,
        extra: /State: +(Waiting|Terminated)|Reason: +(CrashLoopBackOff|Error)|Exit Code|Started|Finished/,
        because: 'the waiting shows as soon as it begins',
      },
      {
        command: /describe pod noimg/,
        missing: /ErrImagePull|Failed to pull|BackOff|ImagePull/,
        extra: /ImagePullBackOff|ErrImagePull|Failed to pull|BackOff/,
        because: 'there is no registry to ask',
      },
    ],
    preparations: [
      {
        before: 'kubectl describe pod full',
        shell: `set -e; kubectl create configmap c --from-literal=a=1; kubectl apply -f full.yaml
          kubectl wait --for=condition=Ready pod/full --timeout=60s; kubectl apply -f web.yaml; ${web}; sleep 1`,
      },
      {
        before: 'kubectl describe pod crash',
        shell: `set -e; kubectl run crash --image=busybox:1.36 -- sh -c 'exit 1'
          kubectl run noimg --image=busybox:none; sleep 6`,
      },
    ],
  },
  explain: {
    accepted: [
      {
        command: /explain/,
        missing: /^ {4}|^ *$|^DESCRIPTION:$/,
        extra: /^ +(<empty>|<no description>)$|^ *$|^DESCRIPTION:$/,
        because: 'the schemas of this API server have no descriptions',
      },
      {
        command: /explain .*\| head/,
        extra: /^ +\w+\t<\S+>( -required-)?$|^ *enum: /,
        because: 'as many lines hold more fields without descriptions',
      },
      {
        command: /api-(versions|resources)/,
        extra: /^(apps\.kruise\.io|sidecarset)/,
        because: 'our own kinds are served too',
      },
      {
        command: /version/,
        missing:
          /^((Client|Kustomize) Version|kustomizeVersion): |^ +"?(go|git|kustomize)Version"?: |^ +"?(gitCommit|gitTreeState|compiler|minor|(emulation|minCompatibility)(Major|Minor))"?: /,
        extra:
          /^((Client|Kustomize) Version|kustomizeVersion): |^ +"?(go|git|kustomize)Version"?: |^ +"?(gitCommit|gitTreeState|compiler|minor)"?: |^WARNING: version difference/,
        because: `${kubectl}, and no Go compiler made this server`,
      },
      {
        command: /config/,
        missing: /(: |^)(k|admin)$|insecure-skip-tls-verify: true$/,
        extra:
          /(: |^)(outrigger|outrigger-admin)$|certificate-authority-data: DATA\+OMITTED$|^preferences: \{\}$/,
        because: 'the kubeconfig is our own, and trusts only the cluster it names',
      },
    ],
  },
  rollout: {},
  logs: {
    accepted: [
      {
        command: /^kubectl logs two$/,
        missing: /waiting to start|^a line|^Defaulted/,
        extra: /waiting to start|^a line|^Defaulted/,
        exit: true,
        because: 'how far the pod is when it is asked is a matter of time',
      },
      {
        command: /-c nope/,
        missing: /is not valid for pod/,
        extra: /is not valid for pod/,
        because: kubectl,
      },
      {
        command: /--all-containers/,
        missing: /^(\[pod\/two\/\w+\] )?(prep|b|a) /,
        extra: /^(\[pod\/two\/\w+\] )?(prep|b|a) /,
        because: 'kubectl orders containers by name in one version and by the spec in another',
      },
    ],
    preparations: [
      {
        before: 'kubectl logs -f ends',
        shell: 'kubectl wait --for=condition=Ready pod/two pod/ends --timeout=60s',
      },
      { before: 'kubectl logs two -c b', shell: 'kubectl wait --for=condition=Ready pod/two --timeout=60s' },
      {
        before: 'kubectl logs crash --previous',
        shell: `kubectl wait --for=jsonpath='{.status.containerStatuses[0].restartCount}'=1 pod/crash --timeout=60s`,
      },
      {
        before: 'kubectl logs deployment/web',
        shell: `kubectl create deployment web --image=busybox:1.36 -- sh -c 'echo dep; sleep 3600'; ${web}`,
      },
    ],
  },
  'exec-cp-forward': {
    accepted: [
      {
        command: /-c nope/,
        missing: /is not valid for pod/,
        extra: /is not valid for pod/,
        because: kubectl,
      },
      {
        command: /^kubectl cp/,
        missing: /^tar: /,
        extra: /^tar: /,
        because: 'kubectl does not wait for the last words of tar',
      },
      { command: /^script/, missing: /command terminated/, extra: /command terminated/, because: kubectl },
      {
        command: /28082:9999/,
        missing: /an error occurred forwarding/,
        extra: /an error occurred forwarding/,
        because: 'the sentence of the client and of the runtime differs between versions',
      },
    ],
    preparations: [
      {
        before: 'kubectl exec p -- echo hi',
        shell: `set -e; mkdir -p src/deep; echo one > src/1; chmod 750 src/1; echo two > src/deep/2
          kubectl apply -f p.yaml; kubectl wait --for=condition=Ready pod/p --timeout=60s; sleep 1`,
      },
    ],
  },
  'patch-label': {
    accepted: [{ command: /--list/, missing: /=/, extra: /=/, because: 'kubectl prints labels in no order' }],
    preparations: [
      {
        before: 'kubectl patch deployment web',
        shell: 'set -e; kubectl apply -f p.yaml; kubectl create configmap c --from-literal=a=1; sleep 0.5',
      },
    ],
  },
  errors: {
    accepted: [
      {
        command: /scale deployment nope/,
        missing: /not found/,
        extra: /no objects passed to scale/,
        because: kubectl,
      },
      {
        command: /--token=wrong/,
        missing: /Forbidden/,
        extra: /Unauthorized/,
        because: 'recorded once with a client certificate, before which a token counts for nothing',
      },
    ],
    preparations: [
      {
        before: 'kubectl get pod nope',
        shell: `set -e; kubectl create configmap c --from-literal=a=1
          kubectl run fix --image=busybox:1.36 --restart=Never -- sleep 3600
          kubectl wait --for=condition=Ready pod/fix --timeout=60s`,
      },
      {
        // The commands before this one are the administrator's. A token of one's own comes before impersonation.
        before: /^kubectl get pods$/,
        shell: `sed -i 's/^\\( *\\)token:/\\1as: dev\\n&/' "$KUBECONFIG"`,
      },
    ],
  },
}

/** The session's own accepted differences and those of all. */
export function topicOf(name: string): Topic {
  const topic = topics[name] ?? {}
  return { ...topic, accepted: [...(topic.accepted ?? []), ...anywhere] }
}
