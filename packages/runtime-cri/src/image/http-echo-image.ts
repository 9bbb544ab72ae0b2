import { type Busybox, busyboxFiles } from './busybox-image.ts'
import { buildImage, type OciImage } from './oci-image.ts'

/**
 * Stands in for `hashicorp/http-echo`: `-listen=:8080 -text="hello"` answers every HTTP request with the
 * text and a line end. Knows `-listen` (default `:5678`), `-text` (default `$ECHO_TEXT`) and `-status-code`,
 * each as `-name=value` or `-name value`; listens on all addresses only. Ends at once on SIGTERM.
 */
export function httpEchoImage(reference: string, busybox: Busybox): OciImage {
  const program = (path: string, content: string) =>
    ({ kind: 'file', path, mode: 0o755, content: Buffer.from(content) }) as const
  return buildImage({
    reference,
    files: [...busyboxFiles(busybox), program('http-echo', server), program('bin/http-echo-answer', answer)],
    entrypoint: ['/http-echo'],
  })
}

/** The shell stays process 1, because a process 1 without a trap does not get SIGTERM. */
const server = `#!/bin/sh
listen=:5678
text=\${ECHO_TEXT-}
status=200
fail() { echo "$1" >&2; exit 127; }
while [ $# -gt 0 ]; do
  case $1 in -*) name=\${1#-} name=\${name#-} ;; *) fail "Too many arguments!" ;; esac
  case $name in
    *=*) value=\${name#*=} name=\${name%%=*} ;;
    *) [ $# -gt 1 ] || fail "flag needs an argument: -$name"; value=$2; shift ;;
  esac
  case $name in
    listen) listen=$value ;;
    text) text=$value ;;
    status-code) status=$value ;;
    *) fail "flag provided but not defined: -$name" ;;
  esac
  shift
done
[ -n "$text" ] || fail "Missing -text option!"
port=\${listen##*:}
case \${listen%:*} in ''|0.0.0.0|'[::]') ;; *) fail "can listen on all addresses only: $listen" ;; esac
case $port in ''|*[!0-9]*) fail "not a port: $listen" ;; esac
export ECHO_BODY="$text" ECHO_STATUS="$status"
export ECHO_LENGTH="$(printf '%s\\n' "$text" | wc -c)"
# Each further l makes the queue of waiting connections one longer.
nc -${'l'.repeat(128)} -p "$port" -e /bin/http-echo-answer &
server=$!
trap 'kill "$server" 2>/dev/null; exit 0' TERM INT
echo "$(date '+%Y/%m/%d %H:%M:%S') Server is listening on $listen" >&2
wait "$server"
`

const answer = `#!/bin/sh
end=$(printf '\\r')
size=0
IFS= read -r -t 10 request || exit 0
while IFS= read -r -t 10 line; do
  line=\${line%"$end"}
  [ -n "$line" ] || break
  case $line in [Cc]ontent-[Ll]ength:*) size=\${line#*:} size=\${size# } ;; esac
done
[ "$size" -gt 0 ] 2>/dev/null && head -c "$size" >/dev/null
printf 'HTTP/1.1 %s\\r\\nX-App-Name: http-echo\\r\\nDate: %s\\r\\nContent-Length: %s\\r\\nContent-Type: text/plain; charset=utf-8\\r\\nConnection: close\\r\\n\\r\\n' \\
  "$ECHO_STATUS" "$(date -u '+%a, %d %b %Y %H:%M:%S GMT')" "$ECHO_LENGTH"
case $request in HEAD*) ;; *) printf '%s\\n' "$ECHO_BODY" ;; esac
`
