interface ImageName {
  /** With registry, `library/` included. */
  readonly repository: string
  readonly tag: string
  readonly digest: string | undefined
}

/** Whether two spellings mean the same image: short names, the default registry and tag, and digests are understood. */
export function isSameImage(left: string, right: string): boolean {
  if (left === right) return true
  const [one, two] = [imageNameOf(left), imageNameOf(right)]
  if (one.digest !== undefined || two.digest !== undefined) return one.digest === two.digest
  return one.repository === two.repository && one.tag === two.tag
}

/** The digest an image name or an image ID ends in; `undefined` when it has none. */
export function digestOf(image: string): string | undefined {
  const at = image.lastIndexOf('@')
  return at < 0 ? undefined : image.slice(at + 1)
}

function imageNameOf(text: string): ImageName {
  const plain = text.replace(/^[a-z-]+:\/\//, '')
  const digest = digestOf(plain)
  const named = digest === undefined ? plain : plain.slice(0, plain.lastIndexOf('@'))
  const colon = named.lastIndexOf(':')
  const hasTag = colon > named.lastIndexOf('/')
  return {
    repository: fullRepository(hasTag ? named.slice(0, colon) : named),
    tag: hasTag ? named.slice(colon + 1) : 'latest',
    digest,
  }
}

function fullRepository(repository: string): string {
  const [first = '', ...rest] = repository.split('/')
  const hasRegistry = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  const registry = hasRegistry ? first : 'docker.io'
  const path = hasRegistry ? rest.join('/') : repository
  if (registry !== 'docker.io' && registry !== 'index.docker.io') return `${registry}/${path}`
  return `docker.io/${path.includes('/') ? path : `library/${path}`}`
}
