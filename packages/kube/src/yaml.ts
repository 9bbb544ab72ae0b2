import {
  type Document,
  isMap,
  LineCounter,
  parseAllDocuments,
  type ScalarTag,
  type SchemaOptions,
  stringify,
} from 'yaml'
import type { KubeObject } from './object.ts'
import { isRecord } from './record.ts'

/** A text that cannot be read, and where. `line` and `column` count from 1. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError'
  readonly line: number
  readonly column: number

  constructor(message: string, line: number, column: number) {
    super(`line ${line}, column ${column}: ${message}`)
    this.line = line
    this.column = column
  }
}

/** One object of a manifest and where it begins. */
export interface ParsedManifest {
  readonly object: KubeObject
  /** Line of the document's first content, from 1. */
  readonly line: number
}

type Tags = Extract<SchemaOptions['customTags'], unknown[]>

/** Large enough for any list of manifests, small enough for memory. */
const maxLength = 64 * 1024 * 1024
/** Aliases may blow a text up by this much. */
const maxAliasCount = 1000

/**
 * The objects in a text of one or more YAML or JSON documents, as kubectl reads it: `yes`, `on` and `y` are
 * booleans, 0777 is octal, 1_000 a number, `List` kinds are taken apart, empty documents are passed over.
 *
 * @throws ManifestError
 */
export function parseManifests(text: string): ParsedManifest[] {
  const manifests: ParsedManifest[] = []
  for (const { value, line } of parseDocuments(text)) {
    if (value === null || value === undefined) continue
    for (const object of itemsOf(value)) {
      const problem = problemOf(object)
      if (problem !== undefined) throw new ManifestError(problem, line, 1)
      manifests.push({ object: object as unknown as KubeObject, line })
    }
  }
  return manifests
}

/**
 * The value of a single YAML or JSON document, by the same rules, as the API server reads request bodies.
 *
 * @throws ManifestError
 */
export function parseYaml(text: string): unknown {
  const documents = parseDocuments(text)
  return documents.length === 0 ? null : documents[0]?.value
}

/** The value as kubectl prints it: two spaces, lists not indented, keys sorted, long texts in one line. */
export function formatYaml(value: unknown): string {
  return stringify(value, {
    schema: 'core',
    customTags: tags,
    indentSeq: false,
    lineWidth: 0,
    sortMapEntries: true,
    aliasDuplicateObjects: false,
    version: '1.2',
    // Quotes what a reader of YAML 1.1, kubectl among them, would not take for a text.
    compat: 'yaml-1.1',
  })
}

function parseDocuments(text: string): { value: unknown; line: number }[] {
  if (text.length > maxLength) throw new ManifestError(`longer than ${maxLength} characters`, 1, 1)
  const lines = new LineCounter()
  const documents = parseAllDocuments(text, {
    schema: 'core',
    customTags: tags,
    version: '1.2',
    merge: true,
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
  })
  if (!Array.isArray(documents)) return []
  return documents.map((document) => ({ value: contentOf(document, lines), line: lineOf(document, lines) }))
}

function contentOf(document: Document.Parsed, lines: LineCounter): unknown {
  const error = document.errors[0]
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.pos[0])
    throw new ManifestError(error.message, line, col)
  }
  try {
    return document.toJS({ maxAliasCount })
  } catch (error) {
    throw new ManifestError(
      error instanceof Error ? error.message : String(error),
      lineOf(document, lines),
      1,
    )
  }
}

function lineOf(document: Document.Parsed, lines: LineCounter): number {
  const start = isMap(document.contents) ? document.contents.range?.[0] : document.range[0]
  return lines.linePos(start ?? 0).line
}

function itemsOf(value: unknown): readonly unknown[] {
  if (!isRecord(value) || typeof value['kind'] !== 'string') return [value]
  const isList = value['kind'].endsWith('List') && Array.isArray(value['items'])
  return isList ? (value['items'] as readonly unknown[]) : [value]
}

function problemOf(object: unknown): string | undefined {
  if (!isRecord(object)) return 'a manifest must be an object'
  if (typeof object['apiVersion'] !== 'string' || object['apiVersion'] === '') return 'apiVersion is missing'
  if (typeof object['kind'] !== 'string' || object['kind'] === '') return 'kind is missing'
  if (object['metadata'] !== undefined && !isRecord(object['metadata'])) return 'metadata must be an object'
  if (object['metadata'] === undefined) object['metadata'] = {}
  return undefined
}

/** The booleans of YAML 1.1 as Go's parser has them, `y` and `n` included. */
const booleanTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:bool',
  default: true,
  test: /^(?:y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON|n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/,
  resolve: (text) => /^[yYtT]|^[oO][nN]/.test(text),
  identify: (value) => typeof value === 'boolean',
  stringify: ({ value }) => (value === true ? 'true' : 'false'),
}

/** Whole numbers that only YAML 1.1 and Go write so: `0777` and `0o777`, `0b11`, `0x1F`, and any with `_` between digits. */
const integerTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  format: 'OCT',
  test: /^[-+]?(?:0[bB][01_]+|0[oO]?_*[0-7][0-7_]*|0[xX][0-9a-fA-F_]+|[1-9][0-9]*_[0-9_]*)$/,
  resolve: (text) => {
    const digits = text.replace(/^[-+]|_/g, '').replace(/^0(?=[0-7])/, '0o')
    return (text.startsWith('-') ? -1 : 1) * Number(digits)
  },
  identify: () => false,
}

/** Fractions with `_` between digits. */
const floatTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:float',
  default: true,
  test: /^[-+]?(?=[^_]*_)[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?$/,
  resolve: (text) => Number(text.replaceAll('_', '')),
  identify: () => false,
}

/** Texts with a character that Go takes for the end of a line, or drops: escaped, or they would come back changed. */
const escapedTag: ScalarTag = {
  tag: 'tag:yaml.org,2002:str',
  default: true,
  test: /(?!)/,
  resolve: (text) => text,
  identify: (value) => typeof value === 'string' && unquotable.test(value),
  stringify: ({ value }) =>
    JSON.stringify(value).replace(
      /[\u007f-\u009f\u2028\u2029\ufeff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    ),
}

/** Tabs too, but in texts of several lines, which keep them. */
const unquotable = /[\u007f-\u009f\u2028\u2029\ufeff]|^[^\n]*\t[^\n]*$/

/** Tried before the core tags, so that writing quotes what reading would take for a boolean or a number. */
function tags(core: Tags): Tags {
  return [escapedTag, booleanTag, integerTag, floatTag, ...core]
}
