import { type FieldError, forbidden, invalid, type Pod } from '@outrigger/kube'
import { badRequest, invalidObject } from '../registry/status-error.ts'

const defaultContainer = 'kubectl.kubernetes.io/default-container'

/**
 * The query of `containerLogs` at the kubelet for the options of a log request.
 *
 * @throws StatusError 422 or 400 in the words of kube-apiserver.
 */
export function parseLogOptions(pod: Pod, query: URLSearchParams): URLSearchParams {
  const errors: FieldError[] = []
  const wanted = new URLSearchParams()
  for (const name of ['follow', 'previous', 'timestamps'] as const)
    if (isTrue(query.get(name))) wanted.set(name, 'true')
  const number = (name: string, min: number) => {
    const text = query.get(name)
    if (text === null || text === '') return
    if (!/^[+-]?\d+$/.test(text))
      throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`)
    const value = Number(text)
    if (value < min)
      errors.push(
        invalid(name, value, min === 0 ? 'must be greater than or equal to 0' : 'must be greater than 0'),
      )
    wanted.set(name, String(value))
  }
  number('tailLines', 0)
  number('limitBytes', 1)
  number('sinceSeconds', 1)
  const since = query.get('sinceTime')
  if (since) {
    if (Number.isNaN(Date.parse(since)))
      throw badRequest(`parsing time ${JSON.stringify(since)} as "2006-01-02T15:04:05Z07:00": cannot parse`)
    if (wanted.has('sinceSeconds'))
      errors.push(forbidden('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'))
    wanted.set('sinceTime', since)
  }
  const stream = query.get('stream')
  if (stream && stream !== 'All') {
    if (stream !== 'Stdout' && stream !== 'Stderr')
      errors.push({
        type: 'unsupported',
        field: 'stream',
        value: stream,
        detail: 'supported values: "All", "Stderr", "Stdout"',
      })
    wanted.set('stream', stream)
  }
  if (errors.length > 0)
    throw invalidObject({ group: '', resource: 'PodLogOptions' }, pod.metadata.name, errors)
  return wanted
}

/** Booleans in queries as Kubernetes reads them. */
export function isTrue(text: string | null): boolean {
  return text !== null && text !== '' && text !== '0' && text.toLowerCase() !== 'false'
}

/**
 * The container a request is about: the one named, the only one, or the one that the annotation
 * `kubectl.kubernetes.io/default-container` names. @throws StatusError 400
 */
export function chooseContainer(pod: Pod, asked: string): string {
  const names = (pod.spec?.containers ?? []).map(({ name }) => name)
  const initNames = (pod.spec?.initContainers ?? []).map(({ name }) => name)
  const ephemeralNames = (pod.spec?.ephemeralContainers ?? []).map(({ name }) => name)
  const all = [...names, ...initNames, ...ephemeralNames]
  if (asked !== '') {
    if (all.includes(asked)) return asked
    throw badRequest(`container ${asked} is not valid for pod ${pod.metadata.name}`)
  }
  const [only] = names
  if (names.length === 1 && only !== undefined) return only
  const annotated = pod.metadata.annotations?.[defaultContainer]
  if (annotated !== undefined && all.includes(annotated)) return annotated
  const choices = [
    `choose one of: [${names.join(' ')}]`,
    ...(initNames.length === 0 ? [] : [`or one of the init containers: [${initNames.join(' ')}]`]),
    ...(ephemeralNames.length === 0
      ? []
      : [`or one of the ephemeral containers: [${ephemeralNames.join(' ')}]`]),
  ]
  throw badRequest(`a container name must be specified for pod ${pod.metadata.name}, ${choices.join(' ')}`)
}
