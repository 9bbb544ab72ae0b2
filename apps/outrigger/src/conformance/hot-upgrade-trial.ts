import type { Pod } from '@outrigger/kube'
import {
  type ClauseFigures,
  type ClauseName,
  type ClauseOutcome,
  type ClauseVerdict,
  clauseNames,
  hotUpgradeClauses,
} from './hot-upgrade-clauses.ts'
import type { PodSide, PodSides } from './pod-sides.ts'
import type { RequestFigures } from './request-log.ts'
import { Overdue, type TrialCluster } from './trial-cluster.ts'

export interface HotUpgradeTrialOptions {
  readonly container: string
  readonly from: string
  readonly to: string
  readonly emptyImage: string
  /** What ends a container from inside, for `sh -c`. */
  readonly kill: string
  /** Clauses that are not judged. What serves them alone is not done. */
  readonly leftOut: ReadonlySet<ClauseName>
  /** Whether the client keeps a connection open. */
  readonly keepsConnection: boolean
  readonly onVerdict: (verdict: ClauseVerdict) => void
  /** Told what the trial is at. */
  readonly onStep: (step: string) => void
}

type Cluster = Pick<
  TrialCluster,
  'look' | 'until' | 'setImage' | 'hold' | 'release' | 'observe' | 'end' | 'log'
>

/** Milliseconds of requests that are watched where something might go wrong. */
const watchTime = 2_500
/** How a container ends that did not in its grace period: 128 and SIGKILL. */
const killed = 137

/** An upgrade that is held. */
interface HalfWay {
  readonly cluster: Cluster
  /** As it was before. */
  readonly start: PodSides
  /** With the new container ready. */
  readonly both: PodSides
  /** Where in the log the upgrade began. */
  readonly mark: number
}

/** Nothing after this would mean anything. */
class TrialOver extends Error {}

/**
 * Takes a sidecar through its upgrades and says which clauses of the hand-over contract it keeps. Nothing is judged by comparing
 * clocks: an upgrade is held half-way for as long as requests are watched there, and let go for the rest.
 */
export class HotUpgradeTrial {
  readonly #cluster: Cluster
  readonly #options: HotUpgradeTrialOptions
  readonly #verdicts = new Map<ClauseName, ClauseVerdict>()
  /** Restarts of the container with the empty image, when it had begun to run that. */
  #idleRestarts = 0
  #idleProblem: string | undefined

  constructor(cluster: Cluster, options: HotUpgradeTrialOptions) {
    this.#cluster = cluster
    this.#options = options
  }

  /** `pod` is the pod as it was created. Answers with a verdict on every clause, in their order. */
  async run(pod: Pod): Promise<readonly ClauseVerdict[]> {
    let why = ''
    try {
      await this.#starts(pod)
      await this.#upgrades()
      await this.#returns()
      await this.#newOneEnds()
      await this.#oldOneEnds()
      this.#judgeEmptyImage()
    } catch (error) {
      if (!(error instanceof TrialOver) && !(error instanceof Overdue)) throw error
      why = error instanceof Overdue ? `the trial ended: ${error.message}` : error.message
    }
    return clauseNames.map((clause) => this.#verdicts.get(clause) ?? this.#verdict(clause, 'not tried', why))
  }

  async #starts(pod: Pod): Promise<void> {
    const { from, emptyImage, container } = this.#options
    this.#step('starting the pod')
    const problem = injectionProblem(pod, container, from, emptyImage)
    if (problem !== undefined) this.#fatal('injected', problem)
    this.#say('injected', 'held', `${container}-1 and ${container}-2`)
    const settled = await this.#attempt('serves', () =>
      this.#cluster.until('the pod to be ready', ({ isSettled }) => isSettled),
    )
    await this.#cluster.observe(500)
    const mark = this.#cluster.log.mark()
    await this.#cluster.observe(watchTime)
    const figures = this.#cluster.log.figures(mark)
    this.#sayServed('serves', figures)
    if (this.#verdicts.get('serves')?.outcome === 'failed') throw new TrialOver('serves failed before')
    this.#idleRestarts = settled.idle.restarts
  }

  /** The first upgrade: held while both run, then let go. */
  async #upgrades(): Promise<void> {
    const { to } = this.#options
    const { cluster, start, both, mark } = await this.#halfWay(to, 'starts-beside')
    const restarts = both.working.restarts - start.idle.restarts - 1
    this.#say(
      'starts-beside',
      restarts > 0 ? 'failed' : 'held',
      restarts > 0
        ? `${both.working.name} ended ${times(restarts)} before it was ready: does it wait for a port that the old one holds?`
        : `${both.working.name} was ready beside ${both.idle.name}`,
      { restarts: Math.max(0, restarts) },
    )
    await cluster.observe(watchTime)
    const middle = cluster.log.mark()
    const meanwhile = cluster.log.figures(mark, middle)
    this.#sayServed('takes-over', meanwhile)
    this.#sayKept(meanwhile)
    this.#step('letting the old container go')
    await cluster.release()
    const settled = await this.#attempt('hands-over', () => this.#untilSettled())
    await cluster.observe(watchTime)
    this.#sayServed('hands-over', cluster.log.figures(middle), bothRan(both, settled))
    this.#sayEnd(settled.idle)
    this.#idleRestarts = settled.idle.restarts
  }

  /** The second upgrade, back to the first image: as fast as it goes. */
  async #returns(): Promise<void> {
    this.#step('going back to the first image')
    this.#noteIdle(await this.#cluster.look())
    const mark = this.#cluster.log.mark()
    await this.#cluster.setImage(this.#options.from)
    const settled = await this.#attempt('own-pace', () => this.#untilSettled())
    await this.#cluster.observe(watchTime)
    this.#sayServed('own-pace', this.#cluster.log.figures(mark))
    this.#idleRestarts = settled.idle.restarts
  }

  /** The new container ends in mid-upgrade, and comes back; then the upgrade is taken back. */
  async #newOneEnds(): Promise<void> {
    if (this.#isLeftOut('new-restarts') && this.#isLeftOut('goes-back')) return
    const { from, to, kill } = this.#options
    const { cluster, both } = await this.#halfWay(to, 'goes-back')
    if (!this.#isLeftOut('new-restarts')) {
      this.#step('ending the new container')
      const { name } = both.working
      await this.#endOne('new-restarts', name, kill, () =>
        cluster.until(`${name} to be ready again`, ({ working }) => working.isRunning && working.isReady),
      )
    }
    this.#step('taking the upgrade back')
    const old = (await cluster.look()).idle
    const mark = cluster.log.mark()
    await cluster.setImage(from)
    await this.#attempt('goes-back', () =>
      cluster.until(`${old.name} to be the working one again`, ({ working }) => working.name === old.name),
    )
    await cluster.observe(500)
    await cluster.release()
    const settled = await this.#attempt('goes-back', () => this.#untilSettled())
    await cluster.observe(watchTime)
    const wasRestarted = settled.working.containerId !== old.containerId
    if (wasRestarted) this.#say('goes-back', 'failed', `${old.name} did not run through`)
    else this.#sayServed('goes-back', cluster.log.figures(mark))
    this.#idleRestarts = settled.idle.restarts
  }

  /** The old container ends in mid-upgrade; the upgrade goes on. */
  async #oldOneEnds(): Promise<void> {
    if (this.#isLeftOut('old-restarts')) return
    const { to, kill } = this.#options
    const { cluster, both } = await this.#halfWay(to, 'old-restarts')
    this.#step('ending the old container')
    await this.#endOne('old-restarts', both.idle.name, kill, async () => {
      await cluster.observe(watchTime)
      await cluster.release()
      const settled = await this.#untilSettled()
      this.#idleRestarts = settled.idle.restarts
    })
  }

  async #endOne(
    clause: ClauseName,
    name: string,
    kill: string,
    whatFollows: () => Promise<unknown>,
  ): Promise<void> {
    const { log } = this.#cluster
    const mark = log.mark()
    const obstacle = await this.#cluster.end(name, kill)
    if (obstacle !== undefined) return this.#say(clause, 'not tried', obstacle)
    try {
      await whatFollows()
    } catch (error) {
      if (!(error instanceof Overdue)) throw error
      return this.#say(clause, 'failed', error.message)
    }
    await this.#cluster.observe(watchTime)
    this.#sayServed(clause, log.figures(mark))
  }

  /** Begins an upgrade and holds it where the new container is ready, and the old one not yet told to stop. */
  async #halfWay(image: string, clause: ClauseName): Promise<HalfWay> {
    const cluster = this.#cluster
    this.#step(`upgrading to ${image}`)
    const start = await cluster.look()
    this.#noteIdle(start)
    await cluster.hold()
    await cluster.observe(500)
    const mark = cluster.log.mark()
    await cluster.setImage(image)
    const { name } = start.idle
    const both = await this.#attempt(clause, () =>
      cluster.until(
        `${name} to be ready with ${image}`,
        ({ working }) =>
          working.name === name && working.image === image && working.isRunning && working.isReady,
      ),
    )
    await cluster.observe(500)
    return { cluster, start, both, mark }
  }

  #untilSettled(): Promise<PodSides> {
    return this.#cluster.until(
      'the old container to run the empty image',
      ({ isSettled, idle }) => isSettled && idle.isRunning,
    )
  }

  /** A wait that fails fails the clause, and ends the trial: nothing after it would mean anything. */
  async #attempt<T>(clause: ClauseName, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Overdue) this.#fatal(clause, error.message)
      throw error
    }
  }

  #fatal(clause: ClauseName, reason: string): never {
    this.#say(clause, 'failed', reason)
    throw new TrialOver(`${clause} failed before`)
  }

  /** The empty image is looked at before every upgrade: how often it was started since it began to run. */
  #noteIdle({ idle }: PodSides): void {
    const restarts = idle.restarts - this.#idleRestarts
    if (restarts > 0) this.#idleProblem ??= `in ${idle.name} it ended ${times(restarts)}`
  }

  #judgeEmptyImage(): void {
    this.#say(
      'empty-idles',
      this.#idleProblem === undefined ? 'held' : 'failed',
      this.#idleProblem ?? 'it was never started anew',
    )
  }

  #sayServed(clause: ClauseName, figures: RequestFigures, more: ClauseFigures = {}): void {
    const { requests, failed, longestGap, firstFailure } = figures
    const isServed = failed === 0 && requests > 0
    const both = more.bothRan === undefined ? '' : `; both ran for ${more.bothRan / 1_000} s`
    const gap = `longest gap ${Math.round(longestGap)} ms${both}`
    this.#say(
      clause,
      isServed ? 'held' : 'failed',
      isServed
        ? `${requests} requests, ${gap}`
        : `${failed} of ${requests} requests failed, ${gap}: ${firstFailure?.slice(0, 200) || 'they were not answered in time'}`,
      { requests, failed, longestGap, ...more },
    )
  }

  #sayKept({ closed }: RequestFigures): void {
    const clause = 'keeps-connections'
    if (!this.#options.keepsConnection) this.#say(clause, 'left out', 'commands keep no connection')
    else if (closed > 0) this.#say(clause, 'failed', `it was closed ${times(closed)}`)
    else this.#say(clause, 'held', 'it was not closed')
  }

  #sayEnd({ name, lastEnd }: PodSide): void {
    if (lastEnd === undefined)
      this.#say('ends-itself', 'not tried', `the node does not tell how ${name} ended`)
    else if (lastEnd.exitCode === killed)
      this.#say(
        'ends-itself',
        'failed',
        `${name} was killed when its grace period was over: it has to end on SIGTERM`,
      )
    else this.#say('ends-itself', 'held', `${name} ended with exit code ${lastEnd.exitCode}`)
  }

  #say(clause: ClauseName, outcome: ClauseOutcome, reason: string, figures?: ClauseFigures): void {
    if (this.#verdicts.has(clause)) return
    const verdict = this.#verdict(clause, outcome, reason, figures)
    this.#verdicts.set(clause, verdict)
    this.#options.onVerdict(verdict)
  }

  #verdict(
    clause: ClauseName,
    outcome: ClauseOutcome,
    reason: string,
    figures?: ClauseFigures,
  ): ClauseVerdict {
    const title = hotUpgradeClauses[clause]
    if (this.#isLeftOut(clause)) return { clause, title, outcome: 'left out', reason: 'as asked' }
    return { clause, title, outcome, reason, ...(figures && { figures }) }
  }

  #isLeftOut(clause: ClauseName): boolean {
    return this.#options.leftOut.has(clause)
  }

  #step(step: string): void {
    this.#options.onStep(step)
  }
}

function injectionProblem(
  { spec }: Pod,
  container: string,
  image: string,
  empty: string,
): string | undefined {
  const containers = [...(spec.initContainers ?? []), ...spec.containers]
  const wanted = [
    [`${container}-1`, image],
    [`${container}-2`, empty],
  ] as const
  for (const [name, wish] of wanted) {
    const found = containers.find((one) => one.name === name)
    if (found === undefined)
      return `the pod was created without ${name}: do the webhooks of a manager answer?`
    if (found.image !== wish) return `${name} has image ${found.image} rather than ${wish}`
  }
  return undefined
}

/** As the node tells it, in whole seconds. */
function bothRan(both: PodSides, settled: PodSides): ClauseFigures {
  const milliseconds = Date.parse(settled.idle.lastEnd?.finishedAt ?? '') - Date.parse(both.working.startedAt)
  return Number.isFinite(milliseconds) ? { bothRan: milliseconds } : {}
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
