import { parse, stringify } from 'yaml'
import type { Document } from './decode-document.ts'

export function parseJsonDocument(text: string): Document {
  return { value: JSON.parse(text), duplicates: [] }
}
export function parseYamlDocument(text: string): Document {
  return { value: parse(text, { version: '1.1' }), duplicates: [] }
}
export function formatYaml(value: unknown): string {
  return stringify(value)
}
