import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { join, resolve } from 'node:path'
import type { Pod, PodList } from '@outrigger/kube'
import { Kubectl } from './kubectl.ts'
import { type OutriggerProcess, startOutrigger } from './outrigger-process.ts'
import { type Check, Transcript } from './transcript.ts'

export interface StoryOptions {
  readonly runtime: 'containerd' | 'sim'
  /** Empty folder for the cluster's state. */
  readonly directory: string
  readonly environment: NodeJS.ProcessEnv
  readonly print: (line: string) => void
  /** Told of every process of the program, for whoever has to end the story early. */
  readonly onStart?: (process: OutriggerProcess) => void
}

export interface StoryEnd {
  readonly checks: readonly Check[]
  readonly kubeconfig: string
  /** The cluster, still up: `outrigger up` with everything in it. */
  readonly cluster: OutriggerProcess
  /** Ends the cluster, its containers too, and removes its state. Throws with what was said when that fails. */
  end(): Promise<void>
}

const examples = resolve(import.meta.dirname, '../../examples/filebeat-echo-server')
const manifest = (name: string) => join(examples, name)
/** What is printed, whatever folder this is started from. */
const shown = (name: string) => `examples/filebeat-echo-server/${name}`

/**
 * Tells the product's main story on a cluster of its own, with the real kubectl, checking each promise.
 * Leaves the cluster up.
 */
export async function tellStory(options: StoryOptions): Promise<StoryEnd> {
  return new Story(options).tell()
}

class Story {
  readonly #options: StoryOptions
  readonly #kubeconfig: string
  readonly #kubectl: Kubectl
  readonly #transcript: Transcript

  constructor(options: StoryOptions) {
    this.#options = options
    this.#kubeconfig = join(options.directory, 'kubeconfig')
    this.#kubectl = new Kubectl({
      kubeconfig: this.#kubeconfig,
      cacheDirectory: join(options.directory, 'kubectl-cache'),
      environment: options.environment,
    })
    this.#transcript = new Transcript({ kubectl: this.#kubectl, print: options.print })
  }

  async tell(): Promise<StoryEnd> {
    let cluster = await this.#up(['--example-images'])
    try {
      await this.#theSidecarWaitsForItsGrant()
      await this.#theSidecarWorks()
      await this.#anOrdinaryPodIsLeftAlone()
      await this.#forgeriesAreRefused()
      cluster = await this.#withoutTheManagerNothingStartsUninjected(cluster)
    } catch (error) {
      this.#transcript.check(
        'the story is told to its end',
        false,
        error instanceof Error ? error.message : String(error),
      )
    }
    return {
      checks: this.#transcript.checks,
      kubeconfig: this.#kubeconfig,
      cluster,
      end: () => this.#end(cluster),
    }
  }

  async #end(cluster: OutriggerProcess): Promise<void> {
    await cluster.stop()
    const { directory } = this.#options
    const down = this.#start(['down', '--purge', '--data-dir', join(directory, 'data')])
    if ((await down.ended) !== 0) throw new Error(`the cluster could not be removed:\n${down.output()}`)
  }

  #start(args: readonly string[]): OutriggerProcess {
    const started = startOutrigger(args, this.#options.environment)
    this.#options.onStart?.(started)
    return started
  }

  async #up(more: readonly string[]): Promise<OutriggerProcess> {
    const { directory, runtime } = this.#options
    const args = ['up', '--port', '0', '--runtime', runtime, ...more]
    const cluster = this.#start([
      ...args,
      '--data-dir',
      join(directory, 'data'),
      '--kubeconfig',
      this.#kubeconfig,
    ])
    await cluster.saw(/^Outrigger is up/m, 180_000)
    this.#transcript.show(
      `outrigger ${args.join(' ')} &`,
      linesOf(cluster.output(), /^(Outrigger|Images| {2})/),
    )
    return cluster
  }

  async #theSidecarWaitsForItsGrant(): Promise<void> {
    const { kubectl, say, check } = this.#tools()
    say(
      'A ConfigMap of the platform team, a SidecarSet that mounts it, and an application for a virtual node.',
    )
    for (const file of ['1-filebeat-config.yaml', '2-filebeat-sidecarset.yaml', '4-echo-server.yaml']) {
      const applied = await this.#apply(file)
      check(`${file} is accepted`, applied.code === 0, applied.stderr)
    }

    say('Nobody has granted the sidecar that ConfigMap yet, so the pod waits and says why.')
    const waiting = await this.#eventually('the pod says what it waits for', async () => {
      const pod = await this.#pod('app=echo-server')
      if (pod === undefined) return undefined
      const described = await this.#kubectl.run(['describe', 'pod', pod.metadata.name])
      return /SidecarSetResourceNotAuthorized/.test(described.stdout) ? pod : undefined
    })
    const described = await kubectl(['describe', 'pod', waiting?.metadata.name ?? ''])
    check(
      'describe names the SidecarSet, the ConfigMap and the binding that is missing',
      /filebeat-sidecarset/.test(described.stdout) &&
        /kube-system\/filebeat-config/.test(described.stdout) &&
        /SidecarSetResourceBinding/.test(described.stdout),
    )
    check(
      'no container of it has started',
      (waiting?.status?.containerStatuses ?? []).every((status) => status.state?.running === undefined),
    )

    say('The owner of kube-system grants it.')
    const granted = await this.#apply('3-resource-binding.yaml')
    check('3-resource-binding.yaml is accepted', granted.code === 0, granted.stderr)
    const since = performance.now()
    const running = await this.#eventually('the pod runs', async () => {
      const pod = await this.#pod('app=echo-server')
      return pod !== undefined && isReady(pod) ? pod : undefined
    })
    const seconds = (performance.now() - since) / 1000
    check(
      'the pod starts within two seconds of the grant',
      running !== undefined && seconds < 2,
      `${seconds.toFixed(2)} s`,
    )
    check('it is the same pod, not a new one', running?.metadata.uid === waiting?.metadata.uid)
  }

  async #theSidecarWorks(): Promise<void> {
    const { kubectl, say, check } = this.#tools()
    say('The sidecar is in the pod, on the virtual node.')
    const pod = await this.#pod('app=echo-server')
    const name = pod?.metadata.name ?? ''
    const listed = await kubectl(['get', 'pod', '-o', 'wide'])
    check(
      'kubectl get pod shows 2/2 Running',
      new RegExp(`^${name}\\s+2/2\\s+Running\\s`, 'm').test(listed.stdout),
      listed.stdout,
    )
    check(
      'the pod is labelled as one of a virtual node',
      pod?.metadata.labels?.['serverless.alibabacloud.com/virtual-node'] === 'true',
    )
    check(
      'it runs on the virtual node',
      pod?.spec.nodeName?.startsWith('virtual-kubelet-') === true,
      pod?.spec.nodeName,
    )

    say("The sidecar sees the application's standard output, and the ConfigMap of the other namespace.")
    const log = await kubectl(['exec', name, '-c', 'filebeat', '--', 'cat', '/var/log/std/echo-server/0.log'])
    check(
      'the stdlog volume shows a CRI line that ends in "Server is listening on :8080"',
      /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d) std(out|err) F .*Server is listening on :8080$/m.test(
        log.stdout,
      ),
      log.stdout + log.stderr,
    )
    const config = await kubectl(['exec', name, '-c', 'filebeat', '--', 'cat', '/etc/filebeat.yml'])
    check(
      "the sidecar reads the ConfigMap's text",
      config.stdout.trim() !== '' && config.stdout === filebeatText(),
      config.stdout + config.stderr,
    )

    const logs = await kubectl(['logs', name, '-c', 'echo-server'])
    check(
      "kubectl logs shows the application's line",
      /Server is listening on :8080/.test(logs.stdout),
      logs.stdout + logs.stderr,
    )
    const described = await kubectl(['describe', 'pod', name])
    const missing = ['Scheduled', 'Pulled', 'Created', 'Started'].filter(
      (reason) => !new RegExp(`(Normal)\\s+${reason}\\s`).test(described.stdout),
    )
    check(
      'describe shows the events Scheduled, Pulled, Created and Started',
      missing.length === 0,
      `missing: ${missing.join(', ')}`,
    )
    await this.#sidecarSetIsCounted()
    const body = await fetchText(`http://${pod?.status?.podIP}:8080/`)
    this.#transcript.show(`curl http://${pod?.status?.podIP}:8080/`, body)
    check('the echo server answers HTTP on its pod IP', /hello world/.test(body), body)
  }

  async #sidecarSetIsCounted(): Promise<void> {
    await this.#eventually('the SidecarSet counts its pod', async () => {
      const answer = await this.#kubectl.run(['get', 'sidecarset', 'filebeat-sidecarset', '--no-headers'])
      return /^filebeat-sidecarset\s+1\s+1\s+1\s/.test(answer.stdout) ? true : undefined
    })
    const counted = await this.#transcript.kubectl(['get', 'sidecarset'])
    this.#transcript.check(
      'kubectl get sidecarset shows MATCHED, UPDATED and READY',
      /^NAME\s+MATCHED\s+UPDATED\s+READY\s+AGE\s*\nfilebeat-sidecarset\s+1\s+1\s+1\s+\S+\s*$/m.test(
        counted.stdout,
      ),
      counted.stdout + counted.stderr,
    )
  }

  async #anOrdinaryPodIsLeftAlone(): Promise<void> {
    const { kubectl, say, check } = this.#tools()
    say('The same application without the label goes to the regular node and gets no sidecar.')
    const plain = readFileSync(manifest('4-echo-server.yaml'), 'utf8')
      .replaceAll('echo-server', 'plain-server')
      .replace(/^ *alibabacloud\.com\/eci: "true"\n/m, '')
    await this.#transcript.kubectl(['apply', '-f', '-'], { input: plain })
    const pod = await this.#eventually('the ordinary pod runs', async () => {
      const found = await this.#pod('app=plain-server')
      return found !== undefined && isReady(found) ? found : undefined
    })
    await kubectl(['get', 'pod', '-l', 'app=plain-server', '-o', 'wide'])
    check(
      'it runs on the regular node',
      pod !== undefined && pod.spec.nodeName?.startsWith('virtual-kubelet-') === false,
      pod?.spec.nodeName,
    )
    check('it has one container and no sidecar', pod?.spec.containers.length === 1)
  }

  async #forgeriesAreRefused(): Promise<void> {
    const { kubectl, say, check } = this.#tools()
    say("A pod cannot help itself to another namespace's ConfigMap, nor claim to be injected.")
    const reaching = await kubectl(['create', '-f', '-'], {
      input: aThief({ volume: 'kube-system/filebeat-config' }),
    })
    check(
      'a pod that writes kube-system/filebeat-config into a volume itself is refused',
      reaching.code !== 0 && /kube-system\/filebeat-config/.test(reaching.stderr),
      reaching.stdout + reaching.stderr,
    )
    const forged = await kubectl(['create', '-f', '-'], {
      input: aThief({ annotation: 'kruise.io/sidecarset-injected-list: filebeat-sidecarset' }),
    })
    check(
      'a pod that forges the injection annotations is refused',
      forged.code !== 0 && /kruise\.io\/sidecarset-injected-list/.test(forged.stderr),
      forged.stdout + forged.stderr,
    )
  }

  /** Restarts the cluster without its manager: the running pod is found again, and new virtual-node pods wait. */
  async #withoutTheManagerNothingStartsUninjected(cluster: OutriggerProcess): Promise<OutriggerProcess> {
    const { kubectl, say, check } = this.#tools()
    say('The cluster is killed (kill -9) and comes back without its manager.')
    const before = await this.#pod('app=echo-server')
    await cluster.kill()
    this.#transcript.show('kill -9 %1')
    const restarted = await this.#up(['--without', 'manager'])
    const after = await this.#eventually('the pod is found again', async () => {
      const pod = await this.#pod('app=echo-server')
      return pod !== undefined && isReady(pod) ? pod : undefined
    })
    const ids = (pod: Pod | undefined) =>
      JSON.stringify(
        pod?.status?.containerStatuses?.map((status) => [status.containerID, status.restartCount]),
      )
    const survives = this.#options.runtime === 'containerd'
    check('the pod survives', after?.metadata.uid === before?.metadata.uid)
    if (survives)
      check(
        'its containers were found again, not started twice',
        after !== undefined && ids(after) === ids(before),
        `${ids(before)} became ${ids(after)}`,
      )

    say('With the manager away, a virtual-node pod does not start uninjected.')
    await kubectl(['scale', 'deployment', 'echo-server', '--replicas=2'])
    const refused = await this.#eventually('the refusal is told', async () => {
      const events = await this.#kubectl.run([
        'get',
        'events',
        '--field-selector',
        'reason=FailedCreate',
        '-o',
        'custom-columns=MESSAGE:.message',
        '--no-headers',
      ])
      return /webhook/.test(events.stdout) ? events.stdout : undefined
    })
    await kubectl(['get', 'events', '--field-selector', 'reason=FailedCreate'])
    const pods = await this.#pods('app=echo-server')
    check(
      'no second pod has started',
      refused !== undefined && pods.every((pod) => pod.spec.containers.length === 2),
      `${pods.length} pods`,
    )

    say('The manager is back, and the pod goes on.')
    const manager = this.#start(['manager', '--kubeconfig', this.#kubeconfig, '--webhook-port', '0'])
    this.#transcript.show(`outrigger manager --kubeconfig kubeconfig &`)
    try {
      await this.#eventually(
        'both pods run',
        async () => {
          const now = await this.#pods('app=echo-server')
          return now.length === 2 && now.every(isReady) ? true : undefined
        },
        60_000,
      )
      const listed = await kubectl(['get', 'pod', '-l', 'app=echo-server'])
      check(
        'the second pod runs with its sidecar',
        (listed.stdout.match(/\s2\/2\s+Running\s/g) ?? []).length === 2,
        listed.stdout + manager.output(),
      )
    } finally {
      await manager.stop()
    }
    await restarted.stop()
    return this.#up([])
  }

  #tools() {
    const transcript = this.#transcript
    return {
      kubectl: transcript.kubectl.bind(transcript),
      say: transcript.say.bind(transcript),
      check: transcript.check.bind(transcript),
    }
  }

  #apply(file: string) {
    return this.#transcript.kubectl(['apply', '-f', shown(file)])
  }

  async #pods(selector: string): Promise<readonly Pod[]> {
    const list = await this.#kubectl.json<PodList>(['get', 'pods', '-l', selector])
    return list.items.filter((pod) => pod.metadata.deletionTimestamp === undefined)
  }

  async #pod(selector: string): Promise<Pod | undefined> {
    return (await this.#pods(selector))[0]
  }

  /** Asks again and again; undefined, with a failed check, when the time is up. */
  async #eventually<T>(
    what: string,
    ask: () => Promise<T | undefined>,
    timeout = 30_000,
  ): Promise<T | undefined> {
    const deadline = performance.now() + timeout
    while (performance.now() < deadline) {
      const answer = await ask()
      if (answer !== undefined) return answer
      await new Promise((wake) => setTimeout(wake, 100))
    }
    this.#transcript.check(what, false, `not within ${timeout / 1000} s`)
    return undefined
  }
}

function isReady(pod: Pod): boolean {
  const statuses = pod.status?.containerStatuses ?? []
  return (
    pod.status?.phase === 'Running' &&
    statuses.length === pod.spec.containers.length &&
    statuses.every((status) => status.ready)
  )
}

function linesOf(output: string, pattern: RegExp): string {
  return output
    .split('\n')
    .filter((line) => pattern.test(line))
    .join('\n')
}

function filebeatText(): string {
  const lines = readFileSync(manifest('1-filebeat-config.yaml'), 'utf8').split('\n')
  const start = lines.findIndex((line) => line.includes('filebeat.yml: |'))
  return lines
    .slice(start + 1)
    .map((line) => line.slice(4))
    .join('\n')
}

function aThief(options: { readonly volume?: string; readonly annotation?: string }): string {
  return [
    'apiVersion: v1',
    'kind: Pod',
    'metadata:',
    '  name: thief',
    '  labels: {alibabacloud.com/eci: "true"}',
    ...(options.annotation ? [`  annotations: {${options.annotation}}`] : []),
    'spec:',
    '  containers:',
    '  - {name: main, image: busybox, command: [sleep, "60"]}',
    ...(options.volume ? ['  volumes:', `  - {name: loot, configMap: {name: ${options.volume}}}`] : []),
    '',
  ].join('\n')
}

function fetchText(url: string): Promise<string> {
  return new Promise((done) => {
    const request = get(url, { timeout: 5_000 }, (response) => {
      let text = ''
      response.on('data', (chunk: Buffer) => {
        text += chunk.toString('utf8')
      })
      response.on('end', () => done(text))
    })
    request.on('timeout', () => request.destroy(new Error('no answer within 5 s')))
    request.on('error', (error) => done(`${url}: ${error.message}`))
  })
}
