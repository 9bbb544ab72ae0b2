/** How a simulated container behaves, as data. What is left out follows from its image and command. */
export interface ContainerBehavior {
  /** Ends by itself after this many seconds. */
  readonly exitAfterSeconds?: number
  /** The code it ends with. Defaults to 0. */
  readonly exitCode?: number
  /** What the runtime calls the end, such as `OOMKilled`. */
  readonly reason?: string
  /** Printed when it starts. */
  readonly output?: string
  /** Whether SIGTERM makes it end. Defaults to true. */
  readonly heedsTerm?: boolean
  /** Fails to start with this message. */
  readonly startError?: string
}

export interface BehaviorRule extends ContainerBehavior {
  /** The image as the pod names it, or a pattern for it. */
  readonly image?: string | RegExp
  /** The container's name. */
  readonly container?: string
}

/** An annotation `sim.outrigger.dev/<container>` on a pod holds a behavior as JSON. */
export const behaviorAnnotationPrefix = 'sim.outrigger.dev/'

/** The behavior of a container: its pod's annotation, else the first rule that fits. */
export function behaviorOf(
  name: string,
  image: string,
  annotations: Readonly<Record<string, string>>,
  rules: readonly BehaviorRule[],
): ContainerBehavior | undefined {
  const text = annotations[`${behaviorAnnotationPrefix}${name}`]
  if (text !== undefined) return parseBehavior(text)
  return rules.find(
    (rule) =>
      (rule.container === undefined || rule.container === name) &&
      (rule.image === undefined ||
        (typeof rule.image === 'string' ? rule.image === image : rule.image.test(image))),
  )
}

/** Unknown fields and wrong types are left out: a simulation must not end over a misspelled wish. */
function parseBehavior(text: string): ContainerBehavior | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { exitAfterSeconds, exitCode, reason, output, heedsTerm, startError } = parsed as Record<
    string,
    unknown
  >
  return {
    ...(typeof exitAfterSeconds === 'number' && { exitAfterSeconds }),
    ...(typeof exitCode === 'number' && { exitCode }),
    ...(typeof reason === 'string' && { reason }),
    ...(typeof output === 'string' && { output }),
    ...(typeof heedsTerm === 'boolean' && { heedsTerm }),
    ...(typeof startError === 'string' && { startError }),
  }
}
