import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { canRunContainers } from '../tests/story/can-run-containers.ts'
import { tellStory } from '../tests/story/story.ts'

/** script/demo: tells the story of the README, then leaves the cluster up, or with --once takes it down. */
const args = process.argv.slice(2)
const isOnce = args.includes('--once')
const asked = args[args.indexOf('--runtime') + 1]
const obstacle = canRunContainers()
const runtime =
  args.includes('--runtime') && asked === 'sim' ? 'sim' : obstacle === undefined ? 'containerd' : 'sim'
if (obstacle !== undefined && asked !== 'sim')
  console.log(`Containers cannot be run here (${obstacle}); the story runs on the simulated runtime.`)

const directory = await mkdtemp(join(tmpdir(), 'outrigger-demo-'))
const { checks, kubeconfig, cluster, end } = await tellStory({
  runtime,
  directory,
  environment: process.env,
  print: (line) => console.log(line),
})
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
