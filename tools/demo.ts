import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { canRunContainers } from '../tests/story/can-run-containers.ts'
import { type OutriggerProcess, startOutrigger } from '../tests/story/outrigger-process.ts'
import { tellStory } from '../tests/story/story.ts'

/** script/demo: tells the story of the README, then leaves the cluster up, or with --once takes it down. */
const { once: isOnce, runtime: asked } = readArguments()
const obstacle = canRunContainers()
const runtime = asked === 'sim' ? 'sim' : obstacle === undefined ? 'containerd' : 'sim'
if (obstacle !== undefined && asked !== 'sim')
  console.log(`Containers cannot be run here (${obstacle}); the story runs on the simulated runtime.`)

const directory = await mkdtemp(join(tmpdir(), 'outrigger-demo-'))
const started: OutriggerProcess[] = []
let isLeaving = false
const stillLeaving = new Promise<never>(() => {})
// Codes as shells give them to what a signal ended.
const onInterrupt = () => void leave(130)
const onTerminate = () => void leave(143)
process.on('SIGINT', onInterrupt)
process.on('SIGTERM', onTerminate)
process.stdout.on('error', () => void leave(141))

const { checks, kubeconfig, cluster, end } = await tellStory({
  runtime,
  directory,
  environment: process.env,
  print: (line) => {
    if (!isLeaving) console.log(line)
  },
  onStart: (program) => void started.push(program),
}).catch(async (error: unknown) => {
  if (!isLeaving) console.error(`demo: ${error instanceof Error ? error.message : error}`)
  await leave(1)
  return stillLeaving
})
if (isLeaving) await stillLeaving
process.off('SIGINT', onInterrupt)
process.off('SIGTERM', onTerminate)
const failed = checks.filter((check) => !check.held)
console.log('')
console.log(
  failed.length === 0
    ? `Every check held: ${checks.length} of ${checks.length}.`
    : `${failed.length} of ${checks.length} checks failed: ${failed.map((check) => check.promise).join('; ')}`,
)
process.exitCode = failed.length === 0 ? 0 : 1

if (!isOnce) {
  console.log(`\nThe cluster is up; use it with\n  export KUBECONFIG=${kubeconfig}\nand end it with Ctrl-C.`)
  await new Promise<void>((resolve) => {
    process.once('SIGINT', () => resolve())
    process.once('SIGTERM', () => resolve())
    cluster.child.once('exit', () => resolve())
  })
}
await end()
await rm(directory, { recursive: true, force: true })

/** Ends what was started and removes what was written, wherever the story is. */
async function leave(code: number): Promise<void> {
  if (isLeaving) return
  isLeaving = true
  await Promise.all(started.map((program) => program.stop()))
  await startOutrigger(['down', '--purge', '--data-dir', join(directory, 'data')], process.env).ended
  await rm(directory, { recursive: true, force: true })
  process.exit(code)
}

function readArguments(): { readonly once: boolean; readonly runtime: string | undefined } {
  try {
    const { values } = parseArgs({ options: { once: { type: 'boolean' }, runtime: { type: 'string' } } })
    if (values.runtime === undefined || ['containerd', 'sim'].includes(values.runtime))
      return { once: values.once === true, runtime: values.runtime }
    console.error(`demo: there is no runtime ${values.runtime}; use containerd or sim`)
  } catch (error) {
    console.error(`demo: ${error instanceof Error ? error.message : error}; see script/demo --help`)
  }
  process.exit(1)
}
