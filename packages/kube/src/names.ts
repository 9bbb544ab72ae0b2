/**
 * The name rules of `k8s.io/apimachinery/pkg/util/validation`. Every function answers with one text per thing
 * that is wrong, in the words of the real server; nothing wrong is an empty list.
 */
const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?'
const labelExpression = new RegExp(`^${label}$`)
const subdomainExpression = new RegExp(`^${label}(\\.${label})*$`)
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?'
const label1035Expression = new RegExp(`^${label1035}$`)
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]'
const qualifiedExpression = new RegExp(`^${qualified}$`)
const labelValue = `(${qualified})?`
const labelValueExpression = new RegExp(`^${labelValue}$`)
const environmentName = '[-._a-zA-Z][-._a-zA-Z0-9]*'
const environmentExpression = new RegExp(`^${environmentName}$`)
const configKey = '[-._a-zA-Z0-9]+'
const configKeyExpression = new RegExp(`^${configKey}$`)

/** The longest DNS label, and so the longest name of most things inside a pod. */
export const maxLabelLength = 63
/** The longest DNS subdomain, and so the longest name of most objects. */
export const maxSubdomainLength = 253
/** How many bytes the annotations of one object may have together. */
export const maxAnnotationsSize = 256 * 1024

/** `my-name`: names of containers, namespaces, ports. */
export function dnsLabelProblems(value: string): string[] {
  const problems = tooLongProblems(value, maxLabelLength)
  if (!labelExpression.test(value)) {
    if (subdomainExpression.test(value)) problems.push('must not contain dots')
    else
      problems.push(
        regexProblem(
          "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
          label,
          ['my-name', '123-abc'],
        ),
      )
  }
  return problems
}

/** `example.com`: names of most objects. */
export function dnsSubdomainProblems(value: string): string[] {
  const problems = tooLongProblems(value, maxSubdomainLength)
  if (!subdomainExpression.test(value))
    problems.push(
      regexProblem(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        `${label}(\\.${label})*`,
        ['example.com'],
      ),
    )
  return problems
}

/** `my-name`, not starting with a digit: names of services. */
export function dns1035LabelProblems(value: string): string[] {
  const problems = tooLongProblems(value, maxLabelLength)
  if (!label1035Expression.test(value))
    problems.push(
      regexProblem(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        label1035,
        ['my-name', 'abc-123'],
      ),
    )
  return problems
}

/** `example.com/MyName`: keys of labels and annotations, names of resources and conditions. */
export function qualifiedNameProblems(value: string): string[] {
  const problems: string[] = []
  const parts = value.split('/')
  let name = value
  if (parts.length === 2) {
    const prefix = parts[0] as string
    name = parts[1] as string
    if (prefix === '') problems.push('prefix part must be non-empty')
    else problems.push(...dnsSubdomainProblems(prefix).map((problem) => `prefix part ${problem}`))
  } else if (parts.length > 2) {
    problems.push(
      `a qualified name ${regexProblem(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        qualified,
        ['MyName', 'my.name', '123-abc'],
      )} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    )
    return problems
  }
  if (name === '') problems.push('name part must be non-empty')
  else if (name.length > maxLabelLength)
    problems.push(`name part must be no more than ${maxLabelLength} characters`)
  if (!qualifiedExpression.test(name))
    problems.push(
      `name part ${regexProblem(
        "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        qualified,
        ['MyName', 'my.name', '123-abc'],
      )}`,
    )
  return problems
}

/** Values of labels: empty, or at most 63 characters. */
export function labelValueProblems(value: string): string[] {
  const problems = tooLongProblems(value, maxLabelLength)
  if (!labelValueExpression.test(value))
    problems.push(
      regexProblem(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        labelValue,
        ['MyValue', 'my_value', '12345'],
      ),
    )
  return problems
}

/** Names of environment variables as pods may have them: anything printable but `=`. */
export function environmentNameProblems(value: string): string[] {
  if (value === '') return ['environment variable name must be non-empty']
  for (const letter of value) {
    const code = letter.codePointAt(0) ?? 0
    if (code < 0x20 || code > 0x7e || letter === '=')
      return [
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
      ]
  }
  return []
}

/** Names of environment variables under the strict rule older fields follow. */
export function strictEnvironmentNameProblems(value: string): string[] {
  const problems = environmentExpression.test(value)
    ? []
    : [
        regexProblem(
          "a valid environment variable name must consist of alphabetic characters, digits, '_', '-', or '.', and must not start with a digit",
          environmentName,
          ['my.env-name', 'MY_ENV.NAME', 'MyEnvName1'],
        ),
      ]
  return [...problems, ...dotProblems(value)]
}

/** Keys of ConfigMaps and Secrets. */
export function configMapKeyProblems(value: string): string[] {
  const problems = tooLongProblems(value, maxSubdomainLength)
  if (!configKeyExpression.test(value))
    problems.push(
      regexProblem("a valid config key must consist of alphanumeric characters, '-', '_' or '.'", configKey, [
        'key.name',
        'KEY_NAME',
        'key-name',
      ]),
    )
  return [...problems, ...dotProblems(value)]
}

/** Names of ports: at most 15 characters with a letter among them. */
export function portNameProblems(value: string): string[] {
  const problems: string[] = []
  if (value.length > 15) problems.push('must be no more than 15 characters')
  if (!/^[-a-z0-9]+$/.test(value))
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)')
  if (!/[a-z]/.test(value)) problems.push('must contain at least one letter (a-z)')
  if (value.includes('--')) problems.push('must not contain consecutive hyphens')
  if (value.startsWith('-') || value.endsWith('-')) problems.push('must not begin or end with a hyphen')
  return problems
}

/** Parts of a path: names of roles and the like. */
export function pathSegmentProblems(value: string): string[] {
  if (value === '.' || value === '..') return [`may not be '${value}'`]
  const problems: string[] = []
  for (const letter of ['/', '%']) if (value.includes(letter)) problems.push(`may not contain '${letter}'`)
  return problems
}

/** Ports: 1 to 65535. */
export function portNumberProblems(value: number): string[] {
  return value >= 1 && value <= 65535 ? [] : ['must be between 1 and 65535, inclusive']
}

/** Size of annotations in bytes as the limit counts them: keys and values in UTF-8. */
export function annotationsSize(annotations: Readonly<Record<string, string>>): number {
  let size = 0
  for (const key in annotations) size += utf8Length(key) + utf8Length(annotations[key] ?? '')
  return size
}

/** Bytes a text has in UTF-8; lone surrogates count as the replacement character. */
export function utf8Length(text: string): number {
  let bytes = text.length
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code < 0x80) continue
    if (code < 0x800) bytes += 1
    else if (code >= 0xd800 && code <= 0xdbff && isLowSurrogate(text.charCodeAt(index + 1))) {
      bytes += 2
      index++
    } else bytes += 2
  }
  return bytes
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff
}

function dotProblems(value: string): string[] {
  if (value === '.') return ["must not be '.'"]
  if (value === '..') return ["must not be '..'"]
  return value.startsWith('..') ? ["must not start with '..'"] : []
}

function tooLongProblems(value: string, max: number): string[] {
  return value.length > max ? [`must be no more than ${max} characters`] : []
}

function regexProblem(message: string, expression: string, examples: readonly string[]): string {
  // Two blanks, as the original has it.
  const shown = examples.map((example) => `'${example}'`).join(',  or ')
  return `${message} (e.g. ${shown}, regex used for validation is '${expression}')`
}
