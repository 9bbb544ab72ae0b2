import { benchApiServer } from './bench/api-server.ts'
import { benchContainers } from './bench/containers.ts'
import { benchInjection } from './bench/injection.ts'
import { benchRollout } from './bench/rollout.ts'
import { benchStart } from './bench/start.ts'
import { benchWebhook } from './bench/webhook.ts'

/**
 * npm run bench [-- NAME...]: measures and prints JSON, each figure beside a floor or a peer of the same run.
 * Names: start, api-server, injection, webhook, rollout, containers.
 */
const benches = {
  start: benchStart,
  'api-server': benchApiServer,
  injection: benchInjection,
  webhook: benchWebhook,
  rollout: benchRollout,
  containers: benchContainers,
}
type Name = keyof typeof benches

const wanted = process.argv.slice(2).filter((name): name is Name => name in benches)
const figures: Record<string, unknown> = {}
for (const name of wanted.length === 0 ? (Object.keys(benches) as Name[]) : wanted)
  figures[name] = await benches[name]()
console.log(JSON.stringify(figures, undefined, 2))
