import type { Pod } from '@outrigger/kube'
import { describe, expect, it } from 'vitest'
import type { ClauseName } from './hot-upgrade-clauses.ts'
import { HotUpgradeTrial } from './hot-upgrade-trial.ts'
import type { PodSide, PodSides } from './pod-sides.ts'
import { RequestLog } from './request-log.ts'
import { Overdue } from './trial-cluster.ts'

/** How the sidecar of a pretended cluster misbehaves. */
interface Faults {
  /** Exit code of an old container that was told to stop. */
  readonly endsWith?: number
  /** Times the new container ends before it is ready. */
  readonly stumbles?: number
  /** The empty image ends once. */
  readonly emptyEnds?: boolean
  /** The new one closes connections of the old one. */
  readonly closes?: boolean
  /** Requests fail while this image is on its way. */
  readonly failsWith?: string
  /** Nothing can be ended from inside. */
  readonly cannotBeEnded?: boolean
  /** The new container never becomes ready. */
  readonly sticks?: boolean
}

const empty = 'mesh:empty'

describe('a trial', () => {
  it('holds a sidecar without fault to all clauses', async () => {
    const { outcomes } = await tried({})
    expect(new Set(Object.values(outcomes))).toEqual(new Set(['held']))
  })

  it.each<[string, Faults, ClauseName, RegExp]>([
    ['a container that had to be killed', { endsWith: 137 }, 'ends-itself', /killed when its grace period/],
    ['one that ends until it can start', { stumbles: 2 }, 'starts-beside', /^mesh-2 ended 2 times before/],
    ['an empty image that ends', { emptyEnds: true }, 'empty-idles', /^in mesh-\d it ended once$/],
    ['connections that are closed', { closes: true }, 'keeps-connections', /^it was closed once$/],
  ])('names %s', async (_, faults, clause, reason) => {
    const { outcomes, reasons } = await tried(faults)
    expect(Object.entries(outcomes).filter(([, outcome]) => outcome !== 'held')).toEqual([[clause, 'failed']])
    expect(reasons[clause]).toMatch(reason)
  })

  it('counts requests that failed for the clause of their time', async () => {
    const { outcomes, reasons } = await tried({ failsWith: 'mesh:2' })
    expect(outcomes).toMatchObject({ serves: 'held', 'takes-over': 'failed', 'own-pace': 'held' })
    expect(reasons['takes-over']).toMatch(/^1 of \d+ requests failed, longest gap \d+ ms: refused$/)
  })

  it('does not judge what it could not do', async () => {
    const { outcomes } = await tried({ cannotBeEnded: true })
    expect(outcomes).toMatchObject({
      'new-restarts': 'not tried',
      'goes-back': 'held',
      'old-restarts': 'not tried',
    })
  })

  it('ends where nothing more would mean anything', async () => {
    const { outcomes, reasons } = await tried({ sticks: true })
    expect(outcomes).toMatchObject({ serves: 'held', 'starts-beside': 'failed', 'empty-idles': 'not tried' })
    expect(reasons['takes-over']).toBe('starts-beside failed before')
  })

  it('leaves out what it was asked to', async () => {
    const { outcomes, ended } = await tried({}, ['new-restarts', 'old-restarts'])
    expect(outcomes).toMatchObject({ 'new-restarts': 'left out', 'goes-back': 'held' })
    expect(ended).toBe(0)
  })
})

async function tried(faults: Faults, leftOut: readonly ClauseName[] = []) {
  const cluster = new PretendedCluster(faults)
  const trial = new HotUpgradeTrial(cluster, {
    container: 'mesh',
    from: 'mesh:1',
    to: 'mesh:2',
    emptyImage: empty,
    kill: 'kill 1',
    leftOut: new Set(leftOut),
    keepsConnection: true,
    onVerdict: () => {},
    onStep: () => {},
  })
  const verdicts = await trial.run(cluster.sides.pod)
  return {
    outcomes: Object.fromEntries(verdicts.map(({ clause, outcome }) => [clause, outcome])),
    reasons: Object.fromEntries(verdicts.map(({ clause, reason }) => [clause, reason])),
    ended: cluster.ended,
  }
}

/** A manager, a node and a sidecar in a few lines; everything has happened as soon as it is asked for. */
class PretendedCluster {
  readonly log = new RequestLog()
  ended = 0
  readonly #faults: Faults
  #lines = 0
  #starts = 0
  #isHeld = false
  #hasEmptyEnded = false
  sides: PodSides

  constructor(faults: Faults) {
    this.#faults = faults
    const containers = [
      { name: 'mesh-1', image: 'mesh:1' },
      { name: 'mesh-2', image: empty },
    ]
    const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'trial' }, spec: { containers } }
    const [working, idle] = containers.map((one) => this.#started({ ...nothing, ...one })) as [
      PodSide,
      PodSide,
    ]
    this.sides = { pod, working, idle, isSettled: true }
  }

  async look() {
    return this.sides
  }

  async until(what: string, isSo: (sides: PodSides) => boolean) {
    if (isSo(this.sides)) return this.sides
    throw new Overdue(`waited for ${what}`)
  }

  async setImage(image: string) {
    const { working, idle } = this.sides
    if (image === idle.image) {
      this.sides = { ...this.sides, working: idle, idle: working, isSettled: false }
    } else {
      const { stumbles = 0, sticks = false, failsWith, closes } = this.#faults
      const fresh = this.#started({ ...idle, image, restarts: idle.restarts + 1 + stumbles })
      this.sides = { ...this.sides, working: { ...fresh, isReady: !sticks }, idle: working, isSettled: false }
      if (image === failsWith) this.#write('failed', 'refused')
      if (closes && image === 'mesh:2') this.#write('closed')
    }
    this.#settle()
  }

  async hold() {
    this.#isHeld = true
  }

  async release() {
    this.#isHeld = false
    this.#settle()
  }

  async observe() {
    const { idle, isSettled } = this.sides
    if (this.#faults.emptyEnds && isSettled && !this.#hasEmptyEnded) {
      this.#hasEmptyEnded = true
      this.sides = { ...this.sides, idle: { ...idle, restarts: idle.restarts + 1 } }
    }
    for (let i = 0; i < 3; i++) this.#write('ok')
  }

  async end(name: string, command: string) {
    if (this.#faults.cannotBeEnded) return `${command} did not end ${name}`
    this.ended++
    const again = (side: PodSide) =>
      side.name === name ? this.#started({ ...side, restarts: side.restarts + 1 }) : side
    this.sides = { ...this.sides, working: again(this.sides.working), idle: again(this.sides.idle) }
    return undefined
  }

  #settle() {
    const { working, idle } = this.sides
    if (this.#isHeld || this.sides.isSettled || !working.isReady) return
    const { endsWith = 0 } = this.#faults
    const lastEnd = { exitCode: endsWith, finishedAt: '2026-01-01T00:00:09Z' }
    const emptied = this.#started({ ...idle, image: empty, restarts: idle.restarts + 1, lastEnd })
    this.sides = { ...this.sides, idle: emptied, isSettled: true }
  }

  #started(side: PodSide): PodSide {
    return { ...side, isReady: true, isRunning: true, containerId: `run-${++this.#starts}` }
  }

  #write(kind: string, message = '') {
    const time = new Date(Date.UTC(2026, 0, 1) + ++this.#lines * 10).toISOString()
    this.log.add(`${time} ${kind} ${this.#lines} ${message}`)
  }
}

const nothing: PodSide = {
  name: '',
  image: '',
  isReady: false,
  isRunning: false,
  restarts: 0,
  containerId: '',
  startedAt: '2026-01-01T00:00:00Z',
  lastEnd: undefined,
}
