import { ManualClock } from '@outrigger/foundation/testing'
import { describe, expect, test } from 'vitest'
import { ContainerFiles } from '../container-files.ts'
import { Collector, emptySource } from './pipe.ts'
import { Process } from './process.ts'
import { runShell } from './run-script.ts'

describe('the shell', () => {
  test.each([
    ['echo "a  b" c', 'a  b c\n', 0],
    ['X=1; Y="$X-$'.concat('{Z:-none}"; echo $Y'), '1-none\n', 0],
    ['echo \'$X\' "\\$X"', '$X $X\n', 0],
    ['false || echo or; true && echo and', 'or\nand\n', 0],
    ['if [ 2 -gt 1 ]; then echo yes; else echo no; fi', 'yes\n', 0],
    ['for i in 1 2 3; do echo $i; done | tail -n 1', '3\n', 0],
    ['i=0; while [ $i -lt 3 ]; do i=$((i+1)); done; echo $i', '3\n', 0],
    ['echo $(echo inner | cat) `echo old`', 'inner old\n', 0],
    ['echo err >&2; exit 7', '', 7],
    ['(exit 3); echo $?', '3\n', 0],
    ['echo x > /tmp/f; echo y >> /tmp/f; cat /tmp/f; wc -l < /tmp/f', 'x\ny\n2\n', 0],
    ['yes ab | head -n 2', 'ab\nab\n', 0],
    ['no-such-program', '', 127],
    ['printf "%s=%d\\n" a 1', 'a=1\n', 0],
    ['trap "echo bye" EXIT; echo hi', 'hi\nbye\n', 0],
    ['kill -9 $$', '', 137],
    ['set -e; false; echo never', '', 1],
    ['echo "unfinished', '', 2],
  ])('%s', async (script, output, code) => {
    const stdout = new Collector()
    const process = aProcess(stdout)

    expect(await runShell(process, script)).toBe(code)
    expect(stdout.text).toBe(output)
  })

  test('a loop that only sleeps costs no timer and still hears its trap', async () => {
    const clock = new ManualClock()
    const stdout = new Collector()
    const process = aProcess(stdout, clock)
    const ended = runShell(process, 'trap "echo bye; exit 0" TERM; while true; do sleep 1; done')
    await clock.advance(10_000)
    expect(clock.pending).toBe(0)

    process.deliver('TERM')
    expect(await ended).toBe(0)
    expect(stdout.text).toBe('bye\n')
  })
})

function aProcess(stdout: Collector, clock = new ManualClock()): Process {
  const world = {
    clock,
    files: new ContainerFiles([], new Map(), false),
    hostname: 'h',
    fetch: async () => ({ status: 200, body: Buffer.alloc(0) }),
    signalMain() {},
    serveFolder: () => () => {},
  }
  const io = { stdin: emptySource, stdout, stderr: new Collector() }
  return new Process(world, io, new Map(), '/', new AbortController().signal)
}
