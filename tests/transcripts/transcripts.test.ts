import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canRunContainers } from '../story/can-run-containers.ts'
import { type OutriggerProcess, startOutrigger } from '../story/outrigger-process.ts'
import { acceptedLives } from './accepted-lives.ts'
import { parsePodLife } from './pod-life.ts'
import { replayPodLife } from './replay-pod-life.ts'
import { replayTranscript } from './replay-transcript.ts'
import { runShell, type Surroundings } from './shell.ts'
import { importTestImages } from './test-images.ts'
import { topicOf, topics } from './topics.ts'
import { parseTranscript } from './transcript-file.ts'

const obstacle = canRunContainers()
const recorded = join(import.meta.dirname, 'recorded')
const lives = readdirSync(join(recorded, 'pod-life')).map((file) => basename(file, '.jsonl'))

// Without root or containerd there is nothing real to compare with.
describe.skipIf(obstacle !== undefined)('what a real cluster was recorded to do', () => {
  let cluster: OutriggerProcess
  const directory = mkdtempSync(join(tmpdir(), 'outrigger-transcripts-'))
  const kubeconfig = join(directory, 'kubeconfig')

  beforeAll(async () => {
    const flags = [
      '--port',
      '0',
      '--runtime',
      'containerd',
      '--ephemeral',
      '--data-dir',
      join(directory, 'data'),
    ]
    cluster = startOutrigger(['up', ...flags, '--kubeconfig', kubeconfig], process.env)
    await cluster.saw(/try +kubectl/)
    const [, socket = ''] = cluster.output().match(/unix:\/\/(\S+containerd\.sock)/) ?? []
    await importTestImages(socket, ['1.36', '1.37', 'latest'])
  })

  afterAll(async () => {
    await cluster?.stop()
    rmSync(directory, { recursive: true, force: true })
  })

  test.each(Object.keys(topics))(
    '%s',
    async (name) => {
      const surroundings = await aNamespace('demo')
      const steps = parseTranscript(readFileSync(join(recorded, `${name}.md`), 'utf8'))
      expect(await replayTranscript(steps, topicOf(name), surroundings)).toEqual([])
    },
    240_000,
  )

  describe.concurrent('in the life of a pod', () => {
    test.each(lives)(
      '%s',
      async (name) => {
        const surroundings = await aNamespace(name)
        const life = parsePodLife(readFileSync(join(recorded, 'pod-life', `${name}.jsonl`), 'utf8'))
        const differences = await replayPodLife(life, surroundings)
        await runShell(`kubectl delete namespace ${name} --wait=false`, '', surroundings)
        const accepted = [...(acceptedLives['*'] ?? []), ...(acceptedLives[name] ?? [])]
        const isAccepted = (line: string) => {
          const text = line.replace(/^\$ .*?: (?=[-+] )/, '')
          const kind = text.startsWith('+') ? 'extra' : 'missing'
          return accepted.some((one) => one[kind]?.test(text.replace(/^[-+] /, '')) || one[kind]?.test(line))
        }
        expect(differences.filter((line) => !isAccepted(line))).toEqual([])
      },
      240_000,
    )
  })

  /** An empty namespace, and a kubeconfig that names it. */
  async function aNamespace(name: string): Promise<Surroundings> {
    const folder = mkdtempSync(join(directory, `${name}-`))
    mkdirSync(folder, { recursive: true })
    const own = join(folder, 'config')
    writeFileSync(own, readFileSync(kubeconfig))
    const surroundings = { folder, kubeconfig: own, environment: process.env, timeout: 90_000 }
    const made = await runShell(
      `set -e; kubectl config set-context --current --namespace=${name}
       kubectl delete namespace ${name} --ignore-not-found --timeout=90s; kubectl create namespace ${name}
       kubectl wait --for=create serviceaccount/default --timeout=30s`,
      '',
      surroundings,
    )
    expect(made).toMatchObject({ exit: 0 })
    return surroundings
  }
})
