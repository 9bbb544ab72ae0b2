/** Counts requests and open watches, and writes them in the Prometheus text format. */
export class ServerMetrics {
  readonly #requests = new Map<string, { readonly labels: string; count: number; seconds: number }>()
  readonly #watches = new Map<string, number>()
  #inFlight = 0

  /** A request is over. `seconds` is how long it took. */
  addRequest(verb: string, resource: string, code: number, seconds: number): void {
    const name = `${verb} ${resource} ${code}`
    const known = this.#requests.get(name)
    if (known === undefined) {
      const labels = `verb="${verb}",resource="${resource}",code="${code}"`
      this.#requests.set(name, { labels, count: 1, seconds })
    } else {
      known.count++
      known.seconds += seconds
    }
  }

  /** Counts an open watch until the answer is called. */
  openWatch(resource: string): () => void {
    this.#watches.set(resource, (this.#watches.get(resource) ?? 0) + 1)
    return () => void this.#watches.set(resource, (this.#watches.get(resource) ?? 1) - 1)
  }

  set inFlight(count: number) {
    this.#inFlight = count
  }

  /** `objects` gives the number of stored objects by resource. */
  format(objects: ReadonlyMap<string, number>, revision: number): string {
    const lines: string[] = []
    const family = (name: string, type: string, help: string) =>
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`)
    family('apiserver_request_total', 'counter', 'Requests answered, by verb, resource and code.')
    for (const { labels, count } of this.#requests.values())
      lines.push(`apiserver_request_total{${labels}} ${count}`)
    family('apiserver_request_seconds_total', 'counter', 'Time spent on requests, in seconds.')
    for (const { labels, seconds } of this.#requests.values())
      lines.push(`apiserver_request_seconds_total{${labels}} ${seconds.toFixed(6)}`)
    family('apiserver_current_inflight_requests', 'gauge', 'Requests being worked on, watches not counted.')
    lines.push(`apiserver_current_inflight_requests ${this.#inFlight}`)
    family('apiserver_longrunning_requests', 'gauge', 'Open watches, by resource.')
    for (const [resource, count] of this.#watches)
      lines.push(`apiserver_longrunning_requests{verb="watch",resource="${resource}"} ${count}`)
    family('apiserver_storage_objects', 'gauge', 'Stored objects, by resource.')
    for (const [resource, count] of objects)
      lines.push(`apiserver_storage_objects{resource="${resource}"} ${count}`)
    family('apiserver_storage_revision', 'gauge', 'Revision of the newest write.')
    lines.push(`apiserver_storage_revision ${revision}`)
    return `${lines.join('\n')}\n`
  }
}
