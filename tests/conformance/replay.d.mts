export interface Answer {
  readonly status: number
  readonly body: unknown
}

export interface Step {
  readonly method?: string
  readonly path?: string
  readonly collect?: string
}

export interface Scenario {
  readonly name: string
  readonly area: string
  readonly serial?: boolean
  readonly steps: readonly Step[]
}

export class Client {
  constructor(options: { server: string; token: string; insecure: boolean })
  close(): void
}

export class Matcher {
  constructor(scenario: Scenario, variables: Record<string, unknown>)
}

export function newVariables(): Record<string, unknown>
export function runScenario(
  client: Client,
  scenario: Scenario,
  variables: Record<string, unknown>,
  onAnswer: (step: Step, answer: Answer, index: number) => void,
): Promise<void>
export function checkStep(matcher: Matcher, scenario: Scenario, step: Step, answer: Answer): string[]
