/** One line of a recorded life, as far as it is compared. */
interface Entry {
  readonly t: number
  readonly pod?: string
  readonly watch?: string
  readonly status?: Status
  readonly event?: string
  readonly type?: string
  readonly message?: string
  readonly fieldPath?: string
  readonly object?: string
  readonly run?: string
  readonly note?: string
  readonly stdout?: string
  readonly stderr?: string
  readonly exit?: number
}

interface Status {
  readonly phase?: string
  readonly reason?: string
  readonly conditions?: readonly { type: string; status: string; reason?: string }[]
  readonly initContainerStatuses?: readonly ContainerStatus[]
  readonly containerStatuses?: readonly ContainerStatus[]
  readonly ephemeralContainerStatuses?: readonly ContainerStatus[]
}

interface ContainerStatus {
  readonly name: string
  readonly restartCount?: number
  readonly state?: {
    readonly waiting?: { readonly reason?: string }
    readonly running?: object
    readonly terminated?: { readonly reason?: string; readonly exitCode?: number; readonly message?: string }
  }
}

export interface Command {
  /** Seconds since the beginning. */
  readonly at: number
  /** What had been seen of pods until then. */
  readonly after: Story
  readonly command: string
  readonly stdout: readonly string[]
  readonly stderr: readonly string[]
  readonly exit: number
}

export interface PodLife {
  readonly name: string
  readonly manifests: readonly string[]
  readonly commands: readonly Command[]
  readonly story: Story
  /** Seconds. */
  readonly length: number
}

/** A life without its times: what was passed through, each thing once, in the order of its first appearance. */
export interface Story {
  /** Phases and readiness of each pod. */
  readonly phases: readonly string[]
  /** States of each container, with its restarts, reasons and exit codes. */
  readonly states: readonly string[]
  /** The state of each container in the end. */
  readonly ends: readonly string[]
  /** Sorted, for their order among each other means little. */
  readonly events: readonly string[]
}

export function parsePodLife(text: string): PodLife {
  const [head, ...entries] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  const { case: name, manifests } = head as { case: string; manifests: string[] }
  const story = new StoryTeller()
  const commands: Command[] = []
  let length = 0
  for (const entry of entries as Entry[]) {
    length = Math.max(length, entry.t)
    if (entry.pod !== undefined && entry.status !== undefined) story.sawPod(entry.pod, entry.status)
    if (entry.pod !== undefined && entry.watch === 'DELETED') story.sawEnd(entry.pod)
    if (entry.event !== undefined) story.sawEvent({ ...entry, reason: entry.event })
    const command = entry.run ?? (entry.note?.startsWith('kubectl ') === true ? entry.note : undefined)
    if (command !== undefined)
      commands.push({
        at: entry.t,
        after: story.tell(),
        command,
        stdout: linesOf(entry.stdout),
        stderr: linesOf(entry.stderr),
        exit: entry.exit ?? 0,
      })
  }
  return { name, manifests, commands, story: story.tell(), length }
}

const linesOf = (text = ''): readonly string[] => (text === '' ? [] : text.replace(/\n$/, '').split('\n'))

/** Makes a story of what watches report. */
export class StoryTeller {
  readonly #phases = new Set<string>()
  readonly #states = new Set<string>()
  readonly #ends = new Map<string, string>()
  readonly #events = new Set<string>()

  sawPod(name: string, status: Status): void {
    this.#phases.add(`${name}: ${status.phase}${status.reason === undefined ? '' : ` (${status.reason})`}`)
    for (const { type, status: value, reason } of status.conditions ?? [])
      if (type === 'Ready')
        this.#phases.add(`${name}: Ready ${value}${reason === undefined ? '' : ` (${reason})`}`)
    const all = [
      ...(status.initContainerStatuses ?? []),
      ...(status.containerStatuses ?? []),
      ...(status.ephemeralContainerStatuses ?? []),
    ]
    for (const container of all) {
      const owner = `${name}/${container.name}`
      const state = `${owner}: ${stateText(container)}`
      this.#states.add(state)
      this.#ends.set(owner, state)
    }
  }

  sawEnd(name: string): void {
    this.#phases.add(`${name}: gone`)
  }

  sawEvent(event: {
    readonly type?: string
    readonly reason: string
    readonly object?: string
    readonly fieldPath?: string
    readonly message?: string
  }): void {
    const { type = '', reason, object = '', fieldPath = '', message = '' } = event
    this.#events.add([type, reason, object, fieldPath, message.replaceAll('\n', ' ')].join(' | '))
  }

  tell(): Story {
    return {
      phases: [...this.#phases],
      states: [...this.#states],
      ends: [...this.#ends.values()].sort(),
      events: [...this.#events].sort(),
    }
  }
}

function stateText({ state = {}, restartCount = 0 }: ContainerStatus): string {
  const { waiting, terminated } = state
  const told =
    waiting !== undefined
      ? `waiting ${waiting.reason}`
      : terminated !== undefined
        ? `terminated ${terminated.reason} ${terminated.exitCode}`
        : 'running'
  return `#${restartCount} ${told}`
}
