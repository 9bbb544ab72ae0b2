const label = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/
const subdomain = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const label1035 = /^[a-z](?:[-a-z0-9]*[a-z0-9])?$/
const qualifiedPart = /^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const labelValue = /^(?:(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/
const wildcard = /^\*\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const configKey = /^[-._a-zA-Z0-9]+$/
const envName = /^[-._a-zA-Z][-._a-zA-Z0-9]*$/
const portName = /^[-a-z0-9]+$/
const cIdentifier = /^[A-Za-z_][A-Za-z0-9_]*$/

const labelText =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
const subdomainText =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
const label1035Text =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
const qualifiedText =
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

const atMost = (limit: number) => `must be no more than ${limit} characters`

/** The name as it would be once the random suffix is drawn: a trailing dash of a prefix is no problem. */
function completed(name: string, isPrefix: boolean): string {
  return isPrefix && name.endsWith('-') ? `${name.slice(0, -1)}a` : name
}

/** What keeps a name from being an RFC 1123 label (63 characters, no dots). */
export function labelProblems(name: string, isPrefix = false): string[] {
  const whole = completed(name, isPrefix)
  const problems = whole.length > 63 ? [atMost(63)] : []
  if (!label.test(whole)) problems.push(subdomain.test(whole) ? 'must not contain dots' : labelText)
  return problems
}

/** What keeps a name from being an RFC 1123 subdomain (253 characters), the rule of most kinds. */
export function subdomainProblems(name: string, isPrefix = false): string[] {
  const whole = completed(name, isPrefix)
  const problems = whole.length > 253 ? [atMost(253)] : []
  if (!subdomain.test(whole)) problems.push(subdomainText)
  return problems
}

/** What keeps a name from being an RFC 1035 label: as RFC 1123, but it starts with a letter. */
export function label1035Problems(name: string, isPrefix = false): string[] {
  const whole = completed(name, isPrefix)
  const problems = whole.length > 63 ? [atMost(63)] : []
  if (!label1035.test(whole)) problems.push(label1035Text)
  return problems
}

/** What keeps a name from being one segment of a URL path, the rule of RBAC objects. */
export function pathSegmentProblems(name: string, isPrefix = false): string[] {
  if (!isPrefix && (name === '.' || name === '..')) return [`may not be '${name}'`]
  return ['/', '%'].filter((part) => name.includes(part)).map((part) => `may not contain '${part}'`)
}

/** What keeps a text from being `*.example.com`. */
export function wildcardProblems(name: string): string[] {
  const problems = name.length > 253 ? [atMost(253)] : []
  if (!wildcard.test(name))
    problems.push(
      "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    )
  return problems
}

/** What keeps a text from being a qualified name such as a label key: `prefix/name` or `name`. */
export function qualifiedNameProblems(text: string): string[] {
  const parts = text.split('/')
  if (parts.length > 2)
    return [
      `a qualified name ${qualifiedText} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ]
  const problems: string[] = []
  const name = parts[parts.length - 1] as string
  if (parts.length === 2) {
    const prefix = parts[0] as string
    if (prefix === '') problems.push('prefix part must be non-empty')
    else for (const problem of subdomainProblems(prefix)) problems.push(`prefix part ${problem}`)
  }
  if (name === '') problems.push('name part must be non-empty')
  else if (name.length > 63) problems.push(`name part ${atMost(63)}`)
  if (!qualifiedPart.test(name)) problems.push(`name part ${qualifiedText}`)
  return problems
}

/** What keeps a text from being a label value; the empty one is fine. */
export function labelValueProblems(text: string): string[] {
  const problems = text.length > 63 ? [atMost(63)] : []
  if (!labelValue.test(text))
    problems.push(
      "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    )
  return problems
}

/** What keeps a text from being a key of a ConfigMap or Secret. */
export function configKeyProblems(text: string): string[] {
  const problems = text.length > 253 ? [atMost(253)] : []
  if (!configKey.test(text))
    problems.push(
      "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
    )
  if (text === '.') problems.push("must not be '.'")
  else if (text === '..') problems.push("must not be '..'")
  else if (text.startsWith('..')) problems.push("must not start with '..'")
  return problems
}

/**
 * What keeps a text from naming an environment variable: any printable ASCII but `=` (the relaxed rule,
 * locked on since Kubernetes 1.34).
 */
export function envNameProblems(text: string): string[] {
  if (envName.test(text)) return []
  if (text === '') return ['environment variable name must be set']
  for (const character of text)
    if (character === '=' || character < ' ' || character > '~')
      return [
        `a valid environment variable name must consist only of printable ASCII characters other than '='`,
      ]
  return []
}

/** What keeps a text from naming a port: an IANA service name with at least one letter. */
export function portNameProblems(text: string): string[] {
  const problems: string[] = []
  if (text.length > 15) problems.push('must be no more than 15 characters')
  if (!portName.test(text))
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  if (!/[a-z]/.test(text)) problems.push('must contain at least one letter (a-z)')
  if (text.includes('--')) problems.push('must not contain consecutive hyphens')
  if (text.startsWith('-') || text.endsWith('-')) problems.push('must not begin or end with a hyphen')
  return problems
}

/** What keeps a text from being a C identifier. */
export function cIdentifierProblems(text: string): string[] {
  return cIdentifier.test(text)
    ? []
    : [
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')",
      ]
}
