import {
  dns1035LabelProblems,
  dnsLabelProblems,
  dnsSubdomainProblems,
  pathSegmentProblems as wholeSegmentProblems,
} from '@outrigger/kube'

export {
  configMapKeyProblems as configKeyProblems,
  environmentNameProblems as envNameProblems,
  labelValueProblems,
  portNameProblems,
  qualifiedNameProblems,
} from '@outrigger/kube'

/** The name as it would be once the random suffix is drawn: a trailing dash of a prefix is no problem. */
function completed(name: string, isPrefix: boolean): string {
  return isPrefix && name.endsWith('-') ? `${name.slice(0, -1)}a` : name
}

/** What keeps a name from being an RFC 1123 label (63 characters, no dots). */
export function labelProblems(name: string, isPrefix = false): string[] {
  return dnsLabelProblems(completed(name, isPrefix))
}

/** What keeps a name from being an RFC 1123 subdomain (253 characters), the rule of most kinds. */
export function subdomainProblems(name: string, isPrefix = false): string[] {
  return dnsSubdomainProblems(completed(name, isPrefix))
}

/** What keeps a name from being an RFC 1035 label: as RFC 1123, but it starts with a letter. */
export function label1035Problems(name: string, isPrefix = false): string[] {
  return dns1035LabelProblems(completed(name, isPrefix))
}

/** What keeps a name from being one segment of a URL path, the rule of RBAC objects. */
export function pathSegmentProblems(name: string, isPrefix = false): string[] {
  // What follows a prefix makes `.` and `..` harmless.
  return wholeSegmentProblems(isPrefix ? `${name}a` : name)
}

const wildcard = /^\*\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/

/** What keeps a text from being `*.example.com`. */
export function wildcardProblems(name: string): string[] {
  const problems = name.length > 253 ? ['must be no more than 253 characters'] : []
  if (!wildcard.test(name))
    problems.push(
      "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    )
  return problems
}
