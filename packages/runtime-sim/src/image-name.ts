import { createHash } from 'node:crypto'
import { type ImageState, RuntimeError } from '@outrigger/kubelet/runtime'

/** `docker.io/library/busybox:1.36` for `busybox:1.36`. @throws RuntimeError `image-name-invalid` */
export function normalizeImage(name: string): string {
  const [withoutDigest = '', digest] = name.split('@')
  const slash = withoutDigest.lastIndexOf('/')
  const colon = withoutDigest.indexOf(':', slash + 1)
  const repository = colon < 0 ? withoutDigest : withoutDigest.slice(0, colon)
  const tag = colon < 0 ? undefined : withoutDigest.slice(colon + 1)
  const first = repository.split('/')[0]!
  const hasHost = repository.includes('/') && (/[.:]/.test(first) || first === 'localhost')
  const full = hasHost ? repository : `docker.io/${repository.includes('/') ? '' : 'library/'}${repository}`
  const path = full.slice(full.indexOf('/') + 1)
  if (path !== path.toLowerCase()) throw invalid(name, `repository name (${path}) must be lowercase`)
  const isPlain = /^[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*$/.test(
    path,
  )
  if (!isPlain || (tag !== undefined && !/^[\w][\w.-]{0,127}$/.test(tag))) throw invalid(name, '')
  if (digest !== undefined) {
    if (!/^sha256:[0-9a-f]{64}$/.test(digest)) throw invalid(name, '')
    return `${full}@${digest}`
  }
  return `${full}:${tag ?? 'latest'}`
}

function invalid(name: string, why: string): RuntimeError {
  const message = `couldn't parse image name "${name}": invalid reference format${why === '' ? '' : `: ${why}`}`
  return new RuntimeError('image-name-invalid', message)
}

/** An image as a registry would have it; the same name always has the same digest. */
export function imageOf(normalized: string): ImageState {
  const repository = normalized.replace(/@.*$/, '').replace(/:[^/:]*$/, '')
  const own = normalized.split('@')[1]
  const digest = own ?? `sha256:${hash(normalized)}`
  return {
    id: `sha256:${hash(`id ${normalized}`)}`,
    tags: own === undefined ? [normalized] : [],
    digests: [`${repository}@${digest}`],
    size: 1_000_000 + (Number.parseInt(hash(normalized).slice(0, 6), 16) % 50_000_000),
    uid: 0,
    username: '',
  }
}

const hash = (text: string): string => createHash('sha256').update(text).digest('hex')
