import { isIP } from 'node:net'

const durationPart =
  /^[+-]?(?:\d+(?:\.\d*)?|\.\d+)\s*(?:ns|us|µs|μs|ms|s|m|h|d|w|milli|second|minute|hour|day|week)s?$/
const goDuration = /^[+-]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/
const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i
const labelPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const subdomainPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

const isDateTime = (text: string): boolean =>
  /^\d{4}-\d{2}-\d{2}[tT]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[zZ]|[+-]\d{2}:\d{2})$/.test(text) &&
  !Number.isNaN(Date.parse(text.toUpperCase()))

const isDate = (text: string): boolean =>
  /^\d{4}-\d{2}-\d{2}$/.test(text) &&
  !Number.isNaN(Date.parse(text)) &&
  new Date(text).toISOString().startsWith(text)

const isUuidVersion = (version: string) => (text: string) =>
  uuid.test(text) && text.replaceAll('-', '')[12] === version

const isCidr = (text: string): boolean => {
  const [address = '', length = '', more] = text.split('/')
  const family = isIP(address)
  return (
    family !== 0 &&
    more === undefined &&
    /^\d{1,3}$/.test(length) &&
    Number(length) <= (family === 4 ? 32 : 128)
  )
}

/** How texts of a format look. Formats that are not listed are not checked. */
const tests: Readonly<Record<string, (text: string) => boolean>> = {
  bsonobjectid: (text) => /^[0-9a-f]{24}$/i.test(text),
  uri: (text) => URL.canParse(text) || text.startsWith('/'),
  email: (text) => /^[^\s@<>]+@[^\s@<>]+$/.test(text),
  hostname: (text) =>
    text.length <= 255 &&
    /^([a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.)*[a-zA-Z0-9]([-a-zA-Z0-9]{0,61}[a-zA-Z0-9])?\.?$/.test(
      text,
    ),
  ipv4: (text) => isIP(text) === 4,
  ipv6: (text) => isIP(text) === 6 && !text.includes('%'),
  cidr: isCidr,
  mac: (text) => /^([0-9a-f]{2}[:-]){5}([0-9a-f]{2}[:-]){0,2}[0-9a-f]{2}$/i.test(text),
  uuid: (text) => uuid.test(text),
  uuid3: isUuidVersion('3'),
  uuid4: isUuidVersion('4'),
  uuid5: isUuidVersion('5'),
  isbn: (text) => [10, 13].includes(text.replace(/[- ]/g, '').length) && /^[\dxX -]+$/.test(text),
  isbn10: (text) => /^\d{9}[\dxX]$/.test(text.replace(/[- ]/g, '')),
  isbn13: (text) => /^\d{13}$/.test(text.replace(/[- ]/g, '')),
  creditcard: (text) => /^\d{13,19}$/.test(text.replace(/[- ]/g, '')),
  ssn: (text) => /^\d{3}[- ]?\d{2}[- ]?\d{4}$/.test(text),
  hexcolor: (text) => /^#?([0-9a-f]{3}|[0-9a-f]{6})$/i.test(text),
  rgbcolor: (text) => /^rgb\(\s*\d{1,3}\s*,\s*\d{1,3}\s*,\s*\d{1,3}\s*\)$/.test(text),
  byte: (text) => /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text),
  password: () => true,
  date: isDate,
  duration: (text) => goDuration.test(text) || durationPart.test(text),
  datetime: isDateTime,
  'date-time': isDateTime,
  'k8s-short-name': (text) => text.length <= 63 && labelPattern.test(text),
  'k8s-long-name': (text) => text.length <= 253 && subdomainPattern.test(text),
}

/** Formats without a text to look at; they are known all the same. */
const numeric = new Set(['int32', 'int64', 'float', 'double', 'int-or-string'])

/** Whether a definition may use the format without being warned about it. */
export function isKnownFormat(format: string): boolean {
  return numeric.has(format) || tests[normalize(format)] !== undefined
}

/** Whether `text` has the format. True for formats that are not known. */
export function hasFormat(text: string, format: string): boolean {
  return tests[normalize(format)]?.(text) ?? true
}

const normalize = (format: string): string =>
  format === 'date-time' || format.startsWith('k8s-') ? format : format.replaceAll('-', '')
