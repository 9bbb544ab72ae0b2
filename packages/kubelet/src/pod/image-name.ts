const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*'
const host = '[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?'
const domain = `(?:${host}(?:\\.${host})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`
const tag = ':\\w[\\w.-]{0,127}'
const digest = '@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}'
const reference = new RegExp(`^${domain}/${component}(?:/${component})*(?:${tag})?(?:${digest})?$`)

/** Longer ones are refused unread. */
const longestName = 255 + 128 + 256

/**
 * What is wrong with the name of an image, in the words of a kubelet, which judges it before it asks the runtime;
 * undefined when nothing is. Source: the grammar of https://github.com/distribution/reference
 */
export function imageNameProblem(name: string): string | undefined {
  const why = referenceProblem(name)
  return why === undefined ? undefined : `couldn't parse image name ${JSON.stringify(name)}: ${why}`
}

function referenceProblem(name: string): string | undefined {
  if (/^[a-f0-9]{64}$/.test(name))
    return `invalid repository name (${name}), cannot specify 64-byte hexadecimal strings`
  const [registry, remainder] = splitRegistry(name)
  const colon = remainder.indexOf(':')
  const repository = colon < 0 ? remainder : remainder.slice(0, colon)
  if (repository !== repository.toLowerCase())
    return `invalid reference format: repository name (${repository}) must be lowercase`
  if (name.length > longestName || !reference.test(`${registry}/${remainder}`))
    return 'invalid reference format'
  if (registry.length + repository.length + 1 > 255)
    return 'repository name must not be more than 255 characters'
  return undefined
}

/** The first part is a registry if it looks like a host; the others are Docker Hub's, its own under `library/`. */
function splitRegistry(name: string): readonly [registry: string, remainder: string] {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(slash, 0))
  const isHost = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase()
  const [registry, remainder] = slash > 0 && isHost ? [first, name.slice(slash + 1)] : ['docker.io', name]
  const isHub = registry === 'docker.io' || registry === 'index.docker.io'
  if (!isHub) return [registry, remainder]
  return ['docker.io', remainder.includes('/') ? remainder : `library/${remainder}`]
}
