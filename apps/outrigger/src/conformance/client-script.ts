/** How the client of a trial asks the sidecar for something. */
export type Probe =
  | { readonly kind: 'url'; readonly url: URL }
  | { readonly kind: 'tcp'; readonly port: number }
  | { readonly kind: 'exec'; readonly command: string }

/** While this file is there, the client's container is ready. */
export const readyFile = '/tmp/outrigger-ready'

/**
 * A script for the shell of busybox, or one that knows as much, that sends requests one after the other for ever. Each is a
 * new connection and a line: `ok NUMBER`, or `failed NUMBER WHY`. Beside them one connection is kept open where that makes
 * sense; whenever it is closed, `closed NUMBER` is written. `timeout` is in seconds.
 */
export function clientScript(probe: Probe, timeout: number): string {
  return `trap 'exit 0' TERM INT
limit="timeout ${timeout}"
timeout 1 true 2>/dev/null || limit=
touch ${readyFile}
${connectionLoop(probe)}n=0
while true; do
  n=$((n+1))
  if ${requestOf(probe, timeout)} >/dev/null 2>/tmp/outrigger-why; then
    echo "ok $n"
  else
    echo "failed $n" $(head -n 3 /tmp/outrigger-why)
  fi
  sleep 0.02 2>/dev/null || sleep 1
done
`
}

function requestOf(probe: Probe, timeout: number): string {
  switch (probe.kind) {
    case 'url':
      return probe.url.protocol === 'https:'
        ? `$limit wget -q -T ${timeout} --no-check-certificate -O /dev/null ${quoted(probe.url.href)}`
        : httpRequest(probe.url, timeout)
    case 'tcp':
      // What it runs on the connection ends at once: connecting is all.
      return `$limit nc -w ${timeout} 127.0.0.1 ${probe.port} -e /bin/true`
    case 'exec':
      return `$limit sh -c ${quoted(probe.command)}`
  }
}

/**
 * With nc rather than wget, which does not run in every busybox. The request comes out of a pipe that does not end: servers may
 * take the end of what a client says for its wish to leave.
 */
function httpRequest({ hostname, port, host, pathname, search }: URL, timeout: number): string {
  const request = `GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nUser-Agent: outrigger\r\nAccept: */*\r\nConnection: close\r\n\r\n`
  const address = quoted(hostname.replace(/^\[|\]$/g, ''))
  return `{
    rm -f /tmp/outrigger-request && mkfifo /tmp/outrigger-request && exec 4<>/tmp/outrigger-request
    printf %s ${quoted(request)} >&4
    $limit nc -w ${timeout} ${address} ${port || 80} <&4 >/tmp/outrigger-answer &&
      { head -n 1 /tmp/outrigger-answer | grep -q ' [23][0-9][0-9]' || { head -n 1 /tmp/outrigger-answer >&2; false; }; }
  }`
}

/** A pipe that is open for writing, too, never ends: nc says nothing, and waits for the other side to close. */
function connectionLoop(probe: Probe): string {
  if (probe.kind === 'exec') return ''
  const [host, port] =
    probe.kind === 'tcp'
      ? ['127.0.0.1', probe.port]
      : [probe.url.hostname.replace(/^\[|\]$/g, ''), probe.url.port || defaultPorts[probe.url.protocol]]
  return `mkfifo /tmp/outrigger-silence
(
  exec 3<>/tmp/outrigger-silence
  c=0
  while true; do
    c=$((c+1))
    nc ${quoted(host ?? '')} ${port} <&3 >/dev/null 2>&1
    echo "closed $c"
    sleep 0.1 2>/dev/null || sleep 1
  done
) &
`
}

const defaultPorts: Readonly<Record<string, number>> = { 'http:': 80, 'https:': 443 }

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
