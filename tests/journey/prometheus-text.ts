/** One series of a scraped page. */
export interface Series {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** A family as its HELP and TYPE lines announce it. */
export interface Family {
  readonly type: string
  readonly help: string
  readonly series: readonly Series[]
}

/**
 * Reads Prometheus' text form 0.0.4 and takes nothing that a scraper may refuse: every family has one HELP and one
 * TYPE before its series and stands in one piece, no series comes twice, histograms have growing buckets that end in
 * `+Inf` with the count.
 *
 * @throws Error that names the line.
 */
export function parsePrometheusText(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the page does not end with a line feed')
  const families = new Map<string, { type: string; help: string; series: Series[] }>()
  const seen = new Set<string>()
  let current = ''
  for (const [index, line] of text.split('\n').slice(0, -1).entries()) {
    const fail = (why: string) => new Error(`line ${index + 1}: ${why}: ${line}`)
    if (line === '') continue
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line)
    if (comment !== null) {
      const [, word, name = '', rest = ''] = comment
      if (word === 'HELP') {
        if (families.has(name)) throw fail('a second HELP')
        families.set(name, { help: rest, type: '', series: [] })
        current = name
        continue
      }
      const family = families.get(name)
      if (family === undefined || name !== current) throw fail('TYPE without its HELP just before')
      if (family.type !== '' || family.series.length > 0) throw fail('a TYPE that comes too late')
      if (!['counter', 'gauge', 'histogram', 'summary'].includes(rest)) throw fail('no type')
      family.type = rest
      continue
    }
    if (line.startsWith('#')) throw fail('a comment of no kind')
    const one = parseSeries(line)
    if (one === undefined) throw fail('no series')
    const family = families.get(current)
    const suffixes = family?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
    if (
      family === undefined ||
      family.type === '' ||
      !suffixes.some((suffix) => one.name === `${current}${suffix}`)
    )
      throw fail(`not part of ${current}`)
    const identity = `${one.name}${JSON.stringify(Object.entries(one.labels).sort())}`
    if (seen.has(identity)) throw fail('the same series again')
    seen.add(identity)
    if (family.type === 'counter' && !(one.value >= 0)) throw fail('a counter below zero')
    family.series.push(one)
  }
  for (const [name, family] of families) if (family.type === 'histogram') checkHistogram(name, family.series)
  return families
}

function parseSeries(line: string): Series | undefined {
  const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
  if (match === null) return undefined
  const [, name = '', inner = '', text = ''] = match
  const labels: Record<string, string> = {}
  let rest = inner
  while (rest !== '') {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest)
    if (label === null || label[1] === undefined || label[1] in labels) return undefined
    labels[label[1]] = label[2] ?? ''
    rest = rest.slice(label[0].length)
  }
  const value =
    text === '+Inf' ? Number.POSITIVE_INFINITY : text === '-Inf' ? Number.NEGATIVE_INFINITY : Number(text)
  return Number.isNaN(value) && text !== 'NaN' ? undefined : { name, labels, value }
}

function checkHistogram(name: string, series: readonly Series[]): void {
  const groups = new Map<string, Series[]>()
  for (const one of series) {
    const { le: _, ...labels } = one.labels
    const key = JSON.stringify(Object.entries(labels).sort())
    groups.set(key, [...(groups.get(key) ?? []), one])
  }
  for (const [labels, group] of groups) {
    const buckets = group.filter((one) => one.name === `${name}_bucket`)
    const count = group.find((one) => one.name === `${name}_count`)?.value
    const hasSum = group.some((one) => one.name === `${name}_sum`)
    const bounds = buckets.map(({ labels: { le } }) =>
      le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le),
    )
    const grows = (numbers: readonly number[], isStrict: boolean) =>
      numbers.every(
        (number, at) =>
          at === 0 || number > (numbers[at - 1] ?? 0) || (!isStrict && number === numbers[at - 1]),
      )
    const isRight =
      hasSum &&
      bounds.at(-1) === Number.POSITIVE_INFINITY &&
      grows(bounds, true) &&
      grows(
        buckets.map(({ value }) => value),
        false,
      ) &&
      buckets.at(-1)?.value === count
    if (!isRight) throw new Error(`${name}${labels} is no histogram`)
  }
}
