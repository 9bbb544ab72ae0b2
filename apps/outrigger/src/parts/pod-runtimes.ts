import { delimiter, isAbsolute, join } from 'node:path'
import {
  type Clock,
  type Logger,
  messageOf,
  type Random,
  UserError,
  withDeadline,
} from '@outrigger/foundation'
import type { PodRuntime } from '@outrigger/kubelet/runtime'
import type { ImageOrigin } from '@outrigger/runtime-cri'
import type { DataDirectory } from '../data-directory.ts'
import type { Environment } from '../environment.ts'
import { probeSocket } from './runtime-socket.ts'

export type RuntimeKind = 'containerd' | 'sim'

export interface RuntimeSettings {
  /** Left out: containerd where this user may run containers, else the simulated one. */
  readonly kind: RuntimeKind | undefined
  /** A CRI socket somebody else runs. Left out: a containerd of our own. */
  readonly endpoint: string | undefined
}

export interface RuntimeContext {
  readonly environment: Environment
  readonly directory: DataDirectory
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Gives the opening up. */
  readonly signal: AbortSignal
}

/** What runs the pods of this machine's nodes. */
export interface PodRuntimes {
  readonly kind: RuntimeKind
  /** One line for people: which runtime, and why that one if nobody chose. */
  readonly description: string
  forNode(nodeName: string): PodRuntime
  /** Makes the images available; one line per image says where it came from. */
  prepareImages(references: readonly string[], signal: AbortSignal): Promise<readonly string[]>
  /** `keep`: containers go on. `remove`: nothing stays. Repeatable. */
  close(mode: 'keep' | 'remove'): Promise<void>
}

/** Opens the runtime that was asked for, or the best this machine has. @throws UserError */
export async function openPodRuntimes(
  settings: RuntimeSettings,
  context: RuntimeContext,
): Promise<PodRuntimes> {
  if (settings.endpoint !== undefined) return openForeign(settings.endpoint, context)
  if (settings.kind === 'sim') return openSimulated(context, 'simulated (no containers are run)')
  if (settings.kind === 'containerd') return openOwnContainerd(context)
  const obstacle = whyNoContainers(context.environment)
  if (obstacle !== undefined) return openSimulated(context, `simulated, because ${obstacle}`)
  try {
    return await openOwnContainerd(context)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    const obstacle = error.message.replace(`; ${error.remedy ?? ''}`, '')
    return openSimulated(
      context,
      `simulated, because it ${obstacle}; --runtime containerd says what to install`,
    )
  }
}

function whyNoContainers(environment: Environment): string | undefined {
  if (environment.platform !== 'linux') return `containers need Linux and this is ${environment.platform}`
  if (!environment.isRoot) return 'only root may run containers'
  return undefined
}

async function openOwnContainerd(context: RuntimeContext): Promise<PodRuntimes> {
  const { startContainerd } = await import('@outrigger/runtime-cri')
  const { directory, clock, logger, environment, signal } = context
  const containerd = await startContainerd({
    directory: directory.path,
    clock,
    logger: logger.with({ part: 'containerd' }),
    path: programFolders(environment),
    environment: proxyVariables(environment),
    signal,
  })
  const nodes = await criNodes(containerd.endpoint, context)
  return {
    ...nodes,
    description: `containerd of its own${containerd.wasFound ? ', found running' : ''} (${containerd.endpoint})`,
    prepareImages: (references, signal) =>
      prepareImages(references, nodes.forNode('images'), containerd, context, signal),
    async close(mode) {
      await nodes.close()
      await containerd.stop(mode === 'keep' ? 'keep running' : 'remove everything')
    },
  }
}

/** Where this user's programs are, in the user's order; relative entries would mean another folder tomorrow. */
export function programFolders({ variables }: Pick<Environment, 'variables'>): readonly string[] {
  return (variables['PATH'] ?? '').split(delimiter).filter(isAbsolute)
}

/** What containerd must know to pull through a proxy. */
export function proxyVariables({
  variables,
}: Pick<Environment, 'variables'>): Readonly<Record<string, string>> {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy']
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = variables[name]
      return value === undefined || value === '' ? [] : [[name, value] as const]
    }),
  )
}

/** Milliseconds a runtime has to name its version. */
const answerDeadline = 5_000

async function openForeign(endpoint: string, context: RuntimeContext): Promise<PodRuntimes> {
  const path = endpoint.replace(/^unix:\/\//, '')
  const nodes = await criNodes(`unix://${path}`, context)
  const runtime = nodes.forNode('probe')
  try {
    await probeSocket(path, context)
    await withDeadline(
      context.clock,
      answerDeadline,
      'its answer to the question of its version',
      (signal) => runtime.version(signal),
      context.signal,
    )
  } catch (error) {
    await nodes.close()
    if (context.signal.aborted) throw error
    throw new UserError(
      `the container runtime endpoint ${endpoint} cannot be used: ${messageOf(error)}`,
      'start a runtime that speaks CRI v1 there, or leave --container-runtime-endpoint out',
      { cause: error },
    )
  }
  return {
    ...nodes,
    description: `the runtime behind ${endpoint}`,
    prepareImages: async () => [],
    close: () => nodes.close(),
  }
}

async function criNodes(endpoint: string, context: RuntimeContext) {
  const { createCriRuntime } = await import('@outrigger/runtime-cri')
  const { DiskPodFiles } = await import('@outrigger/kubelet/runtime')
  const { clock, logger, directory } = context
  const open = new Map<string, ReturnType<typeof createCriRuntime>>()
  return {
    kind: 'containerd' as const,
    forNode(nodeName: string): PodRuntime {
      const known = open.get(nodeName)
      if (known !== undefined) return known
      const files = new DiskPodFiles({ root: join(directory.pods, nodeName) })
      const runtime = createCriRuntime({ endpoint, nodeName, files, clock, logger })
      open.set(nodeName, runtime)
      return runtime
    },
    async close() {
      await Promise.all([...open.values()].map((runtime) => runtime.close()))
    },
  }
}

async function prepareImages(
  references: readonly string[],
  runtime: PodRuntime,
  containerd: { readonly binaries: { readonly ctr: string }; readonly socket: string },
  { clock }: RuntimeContext,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { busyboxImage, ensureImage, httpEchoImage, readBusybox, systemPath } = await import(
    '@outrigger/runtime-cri'
  )
  const said: string[] = []
  for (const reference of references) {
    const full = fullReference(reference)
    const origin = await ensureImage(
      {
        reference: full,
        runtime,
        build: async (name) => {
          const busybox = await readBusybox(systemPath)
          return name.includes('http-echo') ? httpEchoImage(name, busybox) : busyboxImage(name, busybox)
        },
        ctr: containerd.binaries.ctr,
        socket: containerd.socket,
        clock,
      },
      signal,
    )
    said.push(`${full}: ${originText(origin)}`)
  }
  return said
}

function originText(origin: ImageOrigin): string {
  if (origin.from !== 'local build')
    return `from ${origin.from === 'registry' ? 'its registry' : origin.from}`
  // Each layer of the runtime put its own words in front; the last ones say what happened.
  return `built here from busybox, because it could not be pulled (${origin.because.split(': ').slice(-2).join(': ')})`
}

/** `busybox` -> `docker.io/library/busybox:latest`. */
function fullReference(reference: string): string {
  const tagged = /:[^/]+$/.test(reference) ? reference : `${reference}:latest`
  const first = tagged.split('/')[0] ?? ''
  if (tagged.includes('/') && (first.includes('.') || first.includes(':') || first === 'localhost'))
    return tagged
  return `docker.io/${tagged.includes('/') ? '' : 'library/'}${tagged}`
}

async function openSimulated(context: RuntimeContext, description: string): Promise<PodRuntimes> {
  const { createSimRuntime } = await import('@outrigger/runtime-sim')
  const { clock, random, environment } = context
  const open = new Map<string, ReturnType<typeof createSimRuntime>>()
  return {
    kind: 'sim',
    description,
    forNode(nodeName) {
      const known =
        open.get(nodeName) ??
        createSimRuntime({
          clock,
          random,
          listensOnLoopback: environment.platform === 'linux',
          addressBlock: open.size,
        })
      open.set(nodeName, known)
      return known
    },
    prepareImages: async () => [],
    close: async () => void (await Promise.all([...open.values()].map((runtime) => runtime.close()))),
  }
}
