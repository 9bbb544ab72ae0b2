import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@outrigger/foundation'
import {
  busyboxImage,
  createCriRuntime,
  readBusybox,
  startContainerd,
  systemPath,
} from '@outrigger/runtime-cri'
import { startTestRegistry } from '@outrigger/runtime-cri/testing'
import { build } from 'esbuild'
import { afterEach, describe, expect, test } from 'vitest'
import { aNode, aRunningPod, clock, eventually, mustSkip, type Node, soon, stateOf } from './a-node.ts'

const ticking = ['sh', '-c', 'i=0; while true; do echo tick $i; i=$((i+1)); sleep 0.1; done']

describe.skipIf(await mustSkip('own-containerd.test.ts'))('a containerd of our own', () => {
  const nodes: Node[] = []
  const folders: { readonly root: string; readonly directory: string }[] = []
  afterEach(async () => {
    for (const node of nodes.splice(0)) await node.remove()
    for (const { root, directory } of folders.splice(0)) {
      const found = await startContainerd({ directory, clock, logger: silentLogger })
      await found.stop('remove everything')
      await rm(root, { recursive: true, force: true })
    }
  })
  /** A data folder whose containerd, if there is one, is removed after the test. */
  const aFolder = async (below = '') => {
    const root = await mkdtemp(join(tmpdir(), 'outrigger-containerd-'))
    const directory = join(root, below)
    folders.push({ root, directory })
    return directory
  }
  const start = async () => {
    const node = await aNode()
    nodes.push(node)
    return node
  }

  test('is started again when it is killed, and containers keep running and logging', async () => {
    const node = await start()
    const pod = await aRunningPod(node, ticking)
    const changes = new AbortController()
    const heard: string[] = []
    const following = (async () => {
      for await (const uid of node.runtime.changes(changes.signal)) heard.push(uid)
    })()
    const first = node.containerd.pid
    const begin = clock.monotonic()
    process.kill(first, 'SIGKILL')
    await eventually('another process', async () => (node.containerd.pid !== first ? true : undefined))
    const state = await eventually('an answer', () => stateOf(node, pod.container).catch(() => undefined))
    process.stderr.write(
      `containerd killed: pods listed again after ${Math.round(clock.monotonic() - begin)} ms\n`,
    )
    expect(state).toMatchObject({ state: 'running' })

    const before = await lines(node, pod.spec.logDirectory)
    await eventually('more lines', async () =>
      (await lines(node, pod.spec.logDirectory)) > before + 5 ? true : undefined,
    )
    await clock.sleep(600)
    heard.length = 0
    await node.runtime.stopContainer(pod.container, 0, soon())
    await eventually('an event after the restart', async () =>
      heard.includes(pod.spec.pod.uid) ? true : undefined,
    )
    changes.abort()
    await following
  })

  test('outlives the process that started it and is found again', async () => {
    const directory = await aFolder()
    const first = await startInAnotherProcess(directory)
    process.kill(first.process, 'SIGKILL')

    const found = await startContainerd({ directory, clock, logger: silentLogger })
    expect([found.wasFound, found.pid]).toEqual([true, first.containerd])
    await found.stop('keep running')
    const again = await startContainerd({ directory, clock, logger: silentLogger })
    expect([again.wasFound, again.pid]).toEqual([true, first.containerd])
    await again.stop('keep running')
  })

  test('starts over a stale pid file and socket, in a data folder with a long name', async () => {
    const directory = await aFolder('a'.repeat(120))
    const first = await startContainerd({ directory, clock, logger: silentLogger })
    expect(Buffer.byteLength(first.socket)).toBeLessThan(100)
    await first.stop('keep running')
    process.kill(first.pid, 'SIGKILL')
    await eventually('its end', async () =>
      (await processesWith(join(directory, 'containerd/config.toml'))).length === 0 ? true : undefined,
    )
    const second = await startContainerd({ directory, clock, logger: silentLogger })
    expect(second.wasFound).toBe(false)
    process.stderr.write(
      `containerd ready after ${first.readyAfter} ms, over old data after ${second.readyAfter} ms\n`,
    )
    await second.stop('keep running')
  })

  test('leaves nothing behind when everything is removed, even with pods running and itself killed', async () => {
    const node = await aNode()
    await aRunningPod(node, ticking)
    const socket = node.containerd.socket
    process.kill(node.containerd.pid, 'SIGKILL')
    await node.remove()
    const run = join(socket, '..')
    expect(await stat(run).catch(() => 'gone')).toBe('gone')
    expect((await readFile('/proc/self/mountinfo', 'utf8')).includes(run)).toBe(false)
    expect(await readdir('/sys/class/net')).not.toContain(node.containerd.bridge)
    expect(await processesWith(socket)).toEqual([])
  })

  test('removes pods but keeps images when only pods are stopped', async () => {
    const directory = await aFolder()
    const first = await startContainerd({ directory, clock, logger: silentLogger })
    await first.stop('stop pods')
    expect(await processesWith(first.socket)).toEqual([])
    const second = await startContainerd({ directory, clock, logger: silentLogger })
    expect(second.wasFound).toBe(false)
    const files = { makeDirectory: async () => {} } as never
    const runtime = createCriRuntime({
      endpoint: second.endpoint,
      nodeName: 'n',
      files,
      clock,
      logger: silentLogger,
    })
    expect((await runtime.listImages(soon())).flatMap(({ tags }) => tags)).toEqual(['localhost/pause:1'])
    await runtime.close()
    await second.stop('keep running')
  })

  test('pulls through the mirrors of a registry folder', async () => {
    const directory = await aFolder()
    const registry = await startTestRegistry()
    registry.add('library/box:1', busyboxImage('box', await readBusybox(systemPath)))
    await mkdir(join(directory, 'registries/docker.io'), { recursive: true })
    await writeFile(
      join(directory, 'registries/docker.io/hosts.toml'),
      `server = "https://registry-1.docker.io"\n[host."http://${registry.address}"]\n  capabilities = ["pull", "resolve"]\n`,
    )
    const registryConfig = join(directory, 'registries')
    const containerd = await startContainerd({ directory, clock, logger: silentLogger, registryConfig })
    const files = { makeDirectory: async () => {} } as never
    const { endpoint } = containerd
    const runtime = createCriRuntime({ endpoint, nodeName: 'n', files, clock, logger: silentLogger })
    const image = await runtime.pullImage('box:1', undefined, soon())
    expect(image.tags).toEqual(['docker.io/library/box:1'])
    // Without a file of its own, a registry on the loopback is still spoken to over plain HTTP.
    await runtime.pullImage(`${registry.address}/library/box:1`, undefined, soon())
    await runtime.close()
    await registry.close()
    await containerd.stop('keep running')
  })

  test('says in one line what is missing', async () => {
    const directory = join(tmpdir(), 'outrigger-containerd-never')
    await expect(
      startContainerd({ directory, clock, logger: silentLogger, cniPath: ['/nowhere'] }),
    ).rejects.toThrow(
      /^cannot run containers: the CNI plugins bridge, host-local and loopback are not in \/nowhere; install .*$/,
    )
  })
})

async function lines({ files }: Node, logDirectory: string): Promise<number> {
  const text = (await files.readTail(`${logDirectory}/main/0.log`, 1 << 20))?.toString() ?? ''
  return text.split('\n').length
}

async function processesWith(word: string): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir('/proc')) {
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '')
    if (line.split('\0').includes(word)) found.push(line)
  }
  return found
}

/** Runs `startContainerd` in a Node process of its own, bundled as the program is shipped. */
async function startInAnotherProcess(
  directory: string,
): Promise<{ readonly process: number; readonly containerd: number }> {
  const script = `
    import { startContainerd } from '@outrigger/runtime-cri'
    import { SystemClock, silentLogger } from '@outrigger/foundation'
    const containerd = await startContainerd({ directory: ${JSON.stringify(directory)}, clock: new SystemClock(), logger: silentLogger })
    console.log(containerd.pid)
    setInterval(() => {}, 1000)
  `
  const outfile = join(directory, 'start.mjs')
  await build({
    stdin: { contents: script, resolveDir: import.meta.dirname, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    banner: {
      js: 'import { createRequire as needs } from "node:module"; const require = needs(import.meta.url);',
    },
  })
  const child = spawn(process.execPath, [outfile], { stdio: ['ignore', 'pipe', 'inherit'] })
  const pid = await new Promise<number>((resolve) =>
    child.stdout.once('data', (text) => resolve(Number(String(text)))),
  )
  return { process: child.pid ?? 0, containerd: pid }
}
