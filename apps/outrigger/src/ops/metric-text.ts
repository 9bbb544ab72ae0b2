import type { DurationHistogram } from '@outrigger/foundation'

export type MetricLabels = Readonly<Record<string, string>>

/** All series of one name. */
export type MetricFamily =
  | {
      readonly type: 'counter' | 'gauge'
      readonly name: string
      readonly help: string
      readonly series: readonly { readonly labels?: MetricLabels; readonly value: number }[]
    }
  | {
      readonly type: 'histogram'
      readonly name: string
      readonly help: string
      readonly series: readonly { readonly labels?: MetricLabels; readonly value: DurationHistogram }[]
    }

/**
 * Families in Prometheus' text form (0.0.4), in their order; those without a series are left out. Histograms that
 * were counted elsewhere can be shown this way, which clients' libraries do not offer.
 */
export function formatMetrics(families: readonly MetricFamily[]): string {
  return families
    .filter(({ series }) => series.length > 0)
    .map((family) => `${heading(family)}${lines(family).join('\n')}\n`)
    .join('')
}

function heading({ name, help, type }: MetricFamily): string {
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}\n`
}

function lines(family: MetricFamily): string[] {
  const { name } = family
  if (family.type !== 'histogram')
    return family.series.map(({ labels = {}, value }) => line(name, labels, value))
  return family.series.flatMap(({ labels = {}, value }) => [
    ...value.bounds.map((bound, index) =>
      line(`${name}_bucket`, { ...labels, le: String(bound) }, value.cumulative[index] ?? value.count),
    ),
    line(`${name}_bucket`, { ...labels, le: '+Inf' }, value.count),
    line(`${name}_sum`, labels, value.sum),
    line(`${name}_count`, labels, value.count),
  ])
}

function line(name: string, labels: MetricLabels, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`)
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${number(value)}`
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}

function number(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}
