import { type ObjectMeta, qualifiedNameProblems } from '@outrigger/kube'

/** A field of a pod that can name the container variables are transferred from. */
type SourceField =
  | { readonly map: 'labels' | 'annotations'; readonly key: string }
  | { readonly map: undefined }

/** `undefined` for a path that is none of the few. A subscript ends with `']` and begins with the first `['`. */
function parseSourceField(path: string): SourceField | undefined {
  if (path === 'metadata.name') return { map: undefined }
  const match = /^metadata\.(labels|annotations)\['(.*)'\]$/s.exec(path)
  if (match === null) return undefined
  return { map: match[1] as 'labels' | 'annotations', key: match[2] ?? '' }
}

/** Why a path names no field that variables can be transferred by; `undefined` if it does. */
export function sourceFieldProblem(path: string): string | undefined {
  const field = parseSourceField(path)
  if (field === undefined)
    return "must be metadata.name, metadata.labels['<key>'] or metadata.annotations['<key>']"
  if (field.map === undefined) return undefined
  return qualifiedNameProblems(field.map === 'labels' ? field.key : field.key.toLowerCase())[0]
}

/** The name the field of a pod holds, empty where it has none; `undefined` for a path that names no field. */
export function sourceFieldValue(path: string, metadata: ObjectMeta): string | undefined {
  if (sourceFieldProblem(path) !== undefined) return undefined
  const field = parseSourceField(path)
  if (field?.map === undefined) return metadata.name
  const values = metadata[field.map] ?? {}
  return Object.hasOwn(values, field.key) ? values[field.key] : ''
}
