import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Pod, parseManifests } from '@outrigger/kube'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { runRecorded } from '../testing/recorded-run.ts'

const testdata = resolve(import.meta.dirname, '../testdata')
const inInject = { workingDirectory: join(testdata, 'inject') }
const inLint = { workingDirectory: join(testdata, 'lint') }
const injectAll = ['inject', '-f', 'workloads.yaml', '-s', 'sidecarsets.yaml']
const golden = (name: string) => join(testdata, name)

const containerNames = (pod: Pod | undefined) => pod?.spec.containers.map(({ name }) => name)

describe('inject', () => {
  it('fills in the pods of every kind of workload and leaves other documents word for word', async () => {
    const { out, error, exitCode } = await runRecorded(injectAll, inInject)
    expect([error, exitCode]).toEqual(['', 0])
    await expect(out).toMatchFileSnapshot(golden('inject/injected.golden.yaml'))
  })

  it('says the same in JSON', async () => {
    const [yaml, json] = await Promise.all([
      runRecorded(injectAll, inInject),
      runRecorded([...injectAll, '-o', 'json'], inInject),
    ])
    expect(JSON.parse(json.out)).toEqual({
      apiVersion: 'v1',
      kind: 'List',
      items: parseManifests(yaml.out).map(({ object }) => object),
    })
  })

  it('shows what changes, in colors on a terminal only', async () => {
    const { out } = await runRecorded([...injectAll, '--diff'], inInject)
    await expect(out).toMatchFileSnapshot(golden('inject/diff.golden.txt'))
    const onTerminal = { ...inInject, isTerminal: true }
    expect((await runRecorded([...injectAll, '--diff'], onTerminal)).out).toContain('\u001b[32m+')
    const colorless = { ...onTerminal, variables: { NO_COLOR: '1' } }
    expect((await runRecorded([...injectAll, '--diff'], colorless)).out).toBe(out)
    const dumb = { ...onTerminal, variables: { TERM: 'dumb' } }
    expect((await runRecorded([...injectAll, '--diff'], dumb)).out).toBe(out)
  })

  it('gives the reason of every choice', async () => {
    const { out } = await runRecorded([...injectAll, '--explain'], inInject)
    await expect(out).toMatchFileSnapshot(golden('inject/explanation.golden.txt'))
    const json = JSON.parse((await runRecorded([...injectAll, '--explain', '-o', 'json'], inInject)).out)
    expect(json).toMatchObject([
      { file: 'workloads.yaml', line: 10, subject: { name: 'db' } },
      {},
      {},
      {},
      {},
    ])
  })

  it('prints a form for a running manager, which refuses its own records on the way to virtual nodes', async () => {
    const whole = (await runRecorded(injectAll, inInject)).out
    const authored = (await runRecorded([...injectAll, '--for-manager'], inInject)).out
    const lint = (input: string) => runRecorded(['lint', '-f', '-'], { ...inInject, input })

    expect((await lint(whole)).out).toMatch(
      /error: .*serverless.alibabacloud.com\/virtual-node.*is set by Outrigger/,
    )
    expect((await lint(authored)).out).not.toContain('error')
    expect(authored).not.toContain('kruise.io/sidecarset-hash')
  })

  it('takes a file that is given twice once', async () => {
    const once = await runRecorded(injectAll, inInject)
    const sources = ['-s', 'sidecarsets.yaml', '-s', join(inInject.workingDirectory, 'sidecarsets.yaml')]
    expect(await runRecorded(['inject', '-f', 'workloads.yaml', ...sources.slice(0, 2)], inInject)).toEqual(
      once,
    )
    const both = await runRecorded(
      ['inject', '-f', 'workloads.yaml', '-f', 'sidecarsets.yaml', ...sources],
      inInject,
    )
    expect(both).toMatchObject({ error: '', exitCode: 0 })
  })

  it('warns of sidecars that a Job would wait for', async () => {
    const job = (labels: string) =>
      `apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, namespace: shop}\nspec: {template: {metadata: {labels: {app: web${labels}}}, spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}\n`
    const set = (container: string) =>
      `---\napiVersion: apps.kruise.io/v1alpha1\nkind: SidecarSet\nmetadata: {name: s}\nspec: {selector: {matchLabels: {app: web}}, updateStrategy: {type: NotUpdate}, ${container}}\n`
    const ordinary = 'containers: [{name: side, image: b, env: [{name: ECI_CONTAINER_TYPE, value: sidecar}]}]'
    const native = 'initContainers: [{name: side, image: b, restartPolicy: Always}]'
    const explained = async (input: string) =>
      (await runRecorded(['inject', '-f', '-', '--explain'], { ...inInject, input })).out
    const warning =
      /Warnings\n {4}the pod does not end before side does, though its own containers may; inject .* native/
    expect(await explained(job('') + set(ordinary))).toMatch(warning)
    expect(await explained(job(', alibabacloud.com/eci: "true"') + set(ordinary))).not.toMatch(warning)
    expect(await explained(job('') + set(native))).not.toMatch(warning)
  })

  it('lets ordinary pods keep records of an injection before, as a manager does', async () => {
    const input =
      'apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {kruise.io/sidecarset-hash: "{}"}}\nspec: {containers: [{name: a, image: b}]}\n'
    const { out, exitCode } = await runRecorded(['lint', '-f', '-'], { ...inInject, input })

    expect([out, exitCode]).toEqual(['', 0])
  })

  it('takes pods that may go anywhere for such that came to a virtual node, if asked to', async () => {
    const { out } = await runRecorded([...injectAll, '--node-type', 'virtual', '-o', 'json'], inInject)
    const { items } = JSON.parse(out) as { items: { kind: string; spec: { template: Pod } }[] }
    const template = items.find(({ kind }) => kind === 'CloneSet')?.spec.template
    expect(template?.metadata.labels).toMatchObject({ 'serverless.alibabacloud.com/virtual-node': 'true' })
    expect(template?.spec.containers.map(({ name }) => name)).toEqual(['eye', 'shipper', 'front'])
    expect(items.find(({ kind }) => kind === 'DaemonSet')?.spec.template.spec.containers).toHaveLength(1)
  })

  it('reads standard input and folders', async () => {
    const input =
      'apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: shop, labels: {app: web}}\nspec: {containers: [{name: a, image: b}]}\n'
    const { out } = await runRecorded(['inject', '-f', '-', '-s', '.'], { ...inLint, input })
    expect(out).toBe('')
    const run = await runRecorded(['inject', '-f', '-', '-s', 'sidecarsets.yaml'], { ...inInject, input })
    expect(containerNames(parseManifests(run.out)[0]?.object as Pod | undefined)).toEqual(['shipper', 'a'])
  })

  it.each([
    [
      'a: [',
      /^outrigger: <stdin>:\d: not a Kubernetes manifest: .+; mend this document; nothing was printed\n$/,
    ],
    [
      'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nkind: Pod\n',
      /^outrigger: <stdin>:5: .*apiVersion is missing/,
    ],
    [
      'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n',
      /^outrigger: <stdin>:1: Pod a: spec.containers must list at least one container; /,
    ],
    [
      '# x\napiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {alibabacloud.com/eci: "true"}, annotations: {kruise.io/sidecarset-hash: "{}"}}\nspec: {containers: [{name: a, image: b}]}\n',
      /^outrigger: <stdin>:2: Pod a: metadata.annotations\[kruise.io\/sidecarset-hash\]: Forbidden: .* remove it/,
    ],
    [
      'apiVersion: apps.kruise.io/v1alpha1\nkind: SidecarSet\nmetadata: {name: b}\nspec: {}\n',
      /^outrigger: <stdin>:1: SidecarSet b: spec.selector: Required value: .* \(and 1 more\); outrigger lint lists everything\n$/,
    ],
  ])('refuses bad input in one line and prints nothing else (%#)', async (input, message) => {
    const run = await runRecorded(['inject', '-f', '-', '-s', 'sidecarsets.yaml'], { ...inInject, input })
    expect(run).toMatchObject({ out: '', exitCode: 1, error: expect.stringMatching(message) })
    expect(run.error.split('\n')).toHaveLength(2)
  })

  it('says what is missing', async () => {
    expect(await runRecorded(['inject', '-f', 'nothing.yaml'], inInject)).toMatchObject({
      exitCode: 1,
      error: 'outrigger: nothing.yaml does not exist; check the path after -f or -s\n',
    })
    expect(await runRecorded(['inject', '-f', 'workloads.yaml'], inInject)).toMatchObject({
      exitCode: 1,
      error: 'outrigger: there is no SidecarSet in workloads.yaml; name its file with -s\n',
    })
    const empty = await mkdtemp(join(tmpdir(), 'outrigger-test-'))
    onTestFinished(() => rm(empty, { recursive: true }))
    await writeFile(join(empty, 'notes.txt'), 'nothing')
    expect(await runRecorded(['inject', '-f', '.'], { workingDirectory: empty })).toMatchObject({
      exitCode: 1,
      error: 'outrigger: folder . has no .yaml, .yml or .json file; name a folder with manifests\n',
    })
  })
})

describe('what cannot be read as manifests', () => {
  const pod = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b}]}\n'
  const sources = ['-s', 'sidecarsets.yaml']

  it.each<[title: string, input: string | Uint8Array]>([
    ['nothing', ''],
    ['comments', '# nothing\n---\n# here\n'],
    ['an empty list', 'apiVersion: v1\nkind: List\nitems: []\n'],
  ])('%s is said to be nothing', async (_, input) => {
    for (const args of [
      ['inject', '-f', '-', ...sources],
      ['lint', '-f', '-'],
    ])
      expect(await runRecorded(args, { ...inInject, input })).toEqual({
        out: '',
        error: 'outrigger: there is no Kubernetes object in <stdin>; check what is given with -f\n',
        exitCode: 1,
      })
  })

  it.each<[title: string, input: Uint8Array]>([
    ['another encoding', Buffer.from(pod.replace('image: b', 'image: caf\u00e9'), 'latin1')],
    ['a binary file', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 0, 0])],
  ])('%s is named as no UTF-8', async (_, input) => {
    expect(await runRecorded(['inject', '-f', '-', ...sources], { ...inInject, input })).toEqual({
      out: '',
      error: 'outrigger: <stdin> is not a text in UTF-8; save it as UTF-8, if it is a manifest\n',
      exitCode: 1,
    })
  })

  it.each<[title: string, input: Uint8Array]>([
    ['a byte order mark', Buffer.from(`\ufeff${pod}`)],
    ['Windows line ends', Buffer.from(pod.replaceAll('\n', '\r\n'))],
    ['UTF-16, as Windows writes it', Buffer.from(`\ufeff${pod}`, 'utf16le')],
    ['UTF-16 the other way round', Buffer.from(`\ufeff${pod}`, 'utf16le').swap16()],
  ])('%s is read all the same', async (_, input) => {
    const { out, error } = await runRecorded(['inject', '-f', '-', ...sources], { ...inInject, input })
    expect([error, parseManifests(out)[0]?.object.metadata.name]).toEqual(['', 'a'])
  })

  it('standard input is not read twice', async () => {
    for (const args of [
      ['inject', '-f', '-', '-s', '-'],
      ['lint', '-f', '-', '-f', '-'],
    ])
      expect(await runRecorded(args, { ...inInject, input: pod })).toMatchObject({
        error: 'outrigger: standard input can be read once only; give - once, and files for the rest\n',
        exitCode: 1,
      })
  })
})

describe('a command line that is wrong', () => {
  it.each([
    ['foo', "unknown command 'foo'; see outrigger --help"],
    ['rollout statu', "unknown command 'statu'; did you mean status?; see outrigger rollout --help"],
    ['inject', "required option '-f, --filename <path>' not specified; see outrigger inject --help"],
    ['inject -f x --nope', "unknown option '--nope'; see outrigger inject --help"],
    ['explain sidecarset', "missing required argument 'name'; see outrigger explain sidecarset --help"],
    [
      'lint -f x y',
      "too many arguments for 'lint'. Expected 0 arguments but got 1; see outrigger lint --help",
    ],
    ['help rollout foo', 'there is no command rollout foo; outrigger rollout --help lists those there are'],
    ['explain pod a/b/c', 'a/b/c is not a pod; write NAMESPACE/NAME'],
    [
      'inject -f workloads.yaml --diff -o json',
      '--diff is for people and has no JSON; leave out --diff or -o json',
    ],
    ['explain pod a/b -n c', 'a/b names namespace a, and -n c; give one of the two'],
  ])('%s is answered in one line with a remedy', async (line, message) => {
    expect(await runRecorded(line.split(' '), inInject)).toEqual({
      out: '',
      error: `outrigger: ${message}\n`,
      exitCode: 1,
    })
  })

  it('help takes the whole path of a command', async () => {
    const [asked, flagged] = await Promise.all([
      runRecorded(['help', 'rollout', 'undo'], inInject),
      runRecorded(['rollout', 'undo', '--help'], inInject),
    ])
    expect(asked).toEqual(flagged)
    expect((await runRecorded(['help'], inInject)).out).toContain('\nCommands:\n')
  })
})

describe('whatever is thrown at them', () => {
  const name = fc.constantFrom('a', '', 'B_', 'kube-system/x')
  const junk = fc.oneof(
    fc.constantFrom(null, true, -1, 'x', '', {}, []),
    name,
    fc.array(fc.dictionary(name, name)),
  )
  const fields = [
    ...['apiVersion', 'kind', 'metadata', 'name', 'labels', 'annotations', 'spec', 'template', 'selector'],
    ...['matchLabels', 'matchExpressions', 'containers', 'initContainers', 'volumes', 'env', 'valueFrom'],
    ...[
      'updateStrategy',
      'injectionStrategy',
      'scatterStrategy',
      'priorityStrategy',
      'subjects',
      'resourceRefs',
    ],
    ...[
      'image',
      'configMap',
      'secret',
      'volumeMounts',
      'transferEnv',
      'patchPodMetadata',
      'namespaceSelector',
    ],
  ]
  const seeds = readFileSync(join(testdata, 'inject/sidecarsets.yaml'), 'utf8')
    .concat('---\n', readFileSync(join(testdata, 'inject/workloads.yaml'), 'utf8'))
    .concat('---\n', readFileSync(join(testdata, 'lint/good.yaml'), 'utf8'))

  /** Puts junk where a field of that name is, anywhere. */
  const spoiled = (value: unknown, field: string, bad: unknown): unknown => {
    if (Array.isArray(value)) return value.map((item) => spoiled(item, field, bad))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, key === field ? bad : spoiled(item, field, bad)]),
    )
  }

  it('inject and lint answer in words, never with a stack', async () => {
    const objects = parseManifests(seeds).map(({ object }) => object)
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...objects),
        fc.constantFrom(...fields),
        junk,
        async (object, field, bad) => {
          const input = JSON.stringify(spoiled(object, field, bad))
          const sources = ['-s', 'sidecarsets.yaml']
          for (const args of [
            ['lint', '-f', '-'],
            ['inject', '-f', '-', ...sources, '--explain'],
            ['inject', '-f', '-'],
          ]) {
            const run = await runRecorded(args, { ...inInject, input })
            expect(run.error.split('\n').length, run.error).toBeLessThanOrEqual(2)
          }
        },
      ),
      { numRuns: 300 },
    )
  })
})

describe('explain pod -f', () => {
  it('is inject --explain', async () => {
    const [explained, injected] = await Promise.all([
      runRecorded(['explain', 'pod', '-f', 'workloads.yaml', '-s', 'sidecarsets.yaml'], inInject),
      runRecorded([...injectAll, '--explain'], inInject),
    ])
    expect(explained).toEqual(injected)
  })
})

describe('lint', () => {
  it('names file, line, field and remedy of everything that is wrong', async () => {
    const { out, exitCode } = await runRecorded(['lint', '-f', 'bad.yaml'], inLint)
    expect(exitCode).toBe(1)
    await expect(out).toMatchFileSnapshot(golden('lint/bad.golden.txt'))
    const json = JSON.parse((await runRecorded(['lint', '-f', 'bad.yaml', '-o', 'json'], inLint)).out)
    expect(json[0]).toMatchObject({ file: 'bad.yaml', line: 7, severity: 'warning', field: 'spec.namespace' })
  })

  it('says nothing of what is right, at least in a pipe', async () => {
    expect(await runRecorded(['lint', '-f', 'good.yaml'], inLint)).toEqual({
      out: '',
      error: '',
      exitCode: 0,
    })
    expect((await runRecorded(['lint', '-f', 'good.yaml'], { ...inLint, isTerminal: true })).out).toBe(
      '2 objects, 0 errors, 0 warnings\n',
    )
  })

  it.each([
    [
      'kind: SidecarSet\napiVersion: apps.kruise.io/v2\nmetadata: {name: a}\n',
      '<stdin>:2: error: SidecarSet a: apiVersion: there is no version v2; use v1alpha1 or v1beta1',
    ],
    [
      'kind: SidecarSet\napiVersion: apps.kruise.io/v1alpha1\nmetadata: {name: a}\nspec:\n  paused: true\n',
      '<stdin>:5: warning: SidecarSet a: spec.paused: is the spelling of old releases; use spec.updateStrategy.paused',
    ],
    [
      'kind: SidecarSet\napiVersion: apps.kruise.io/v1alpha1\nmetadata:\n  name: a\n  annotations:\n    outrigger.dev/failure-policy: ignore\nspec:\n  selector: {matchLabels: {app: web}}\n  containers: [{name: a, image: b}]\n',
      '<stdin>:6: warning: SidecarSet a: metadata.annotations[outrigger.dev/failure-policy]: "ignore" counts as Fail; write Fail or Ignore',
    ],
    [
      'kind: SidecarSet\napiVersion: apps.kruise.io/v1alpha1\nmetadata:\n  name: a\n  annotations: {outrigger.dev/failure-policy: Ignore}\nspec:\n  selector: {matchLabels: {serverless.alibabacloud.com/virtual-node: "true"}}\n  containers: [{name: a, image: b}]\n  updateStrategy: {type: NotUpdate}\n',
      '<stdin>:5: warning: SidecarSet a: metadata.annotations[outrigger.dev/failure-policy]: has no effect: virtual nodes start no pod before its sidecars are decided; remove it',
    ],
    [
      'kind: SidecarSet\napiVersion: apps.kruise.io/v1beta1\nmetadata: {}\n',
      '<stdin>:3: error: SidecarSet *: metadata.name: Required value',
    ],
    [
      'kind: SidecarSet\napiVersion: apps.kruise.io/v1beta1\nmetadata: {name: a}\nspec:\n  updateStrategy:\n    paused: "yes"\n',
      '<stdin>:6: error: SidecarSet a: spec.updateStrategy.paused: must be true or false',
    ],
    [
      'kind: SidecarSetResourceBinding\napiVersion: sidecarset.alibabacloud.com/v1alpha1\nmetadata: {name: a, namespace: b}\nspec:\n  subjects: []\n  resourceRefs:\n  - kind: Secret\n    name: x/*\n',
      '<stdin>:8: error: SidecarSetResourceBinding b/a: spec.resourceRefs[0].name: Invalid value: "x/*": must be the exact name of an object: no wildcard, no namespace',
    ],
    [
      'kind: Namespace\napiVersion: v1\nmetadata:\n  name: a\n  labels:\n    virtual-node-affinity-injection: enabled\n',
      '<stdin>:6: warning: Namespace a: metadata.labels[virtual-node-affinity-injection]: is the older spelling; write alibabacloud.com/eci: "true"',
    ],
  ])('finds what is wrong (%#)', async (input, line) => {
    const { out } = await runRecorded(['lint', '-f', '-'], { ...inLint, input })
    expect(out.split('\n')).toContain(line)
  })
})

describe('the commands for answers', () => {
  it.each([
    'inject',
    'explain pod',
    'explain sidecarset',
    'plan',
    'lint',
    'rollout status',
    'rollout pause',
    'rollout resume',
    'rollout history',
    'rollout undo',
  ])('%s --help ends with an example', async (command) => {
    const run = await runRecorded([...command.split(' '), '--help'], inInject)
    expect(run).toMatchObject({ exitCode: 0, error: '' })
    expect(run.out).toMatch(new RegExp(`Example:\n  outrigger ${command}.*\n$`))
  })
})
