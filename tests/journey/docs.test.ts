import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { outriggerResources, podAnnotations, sidecarSetAnnotations } from '@outrigger/api'
import { isAlreadyExists } from '@outrigger/client'
import { type KubeObject, parseManifests, type ResourceRef, resources } from '@outrigger/kube'
import { startTestCluster, type TestCluster } from '@outrigger/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '../..')
const program = resolve(root, 'apps/outrigger/bin/outrigger.mjs')
const kinds: Readonly<Record<string, ResourceRef>> = Object.fromEntries(
  [
    ...Object.values(resources),
    outriggerResources.sidecarSets,
    outriggerResources.sidecarSetsV1beta1,
    outriggerResources.sidecarSetResourceBindings,
  ].map((resource) => [
    `${resource.group === '' ? '' : `${resource.group}/`}${resource.version} ${resource.kind}`,
    resource,
  ]),
)

interface Manifest {
  /** The page or folder whose manifests belong together. */
  readonly place: string
  readonly title: string
  readonly text: string
}

/** Files below a folder of the repository that end in `suffix`, as paths from the root. */
async function filesIn(folder: string, suffix: string): Promise<string[]> {
  const entries = await readdir(join(root, folder), { recursive: true })
  return entries
    .filter((name) => name.endsWith(suffix))
    .sort()
    .map((name) => join(folder, name))
}

/** Blocks of YAML that begin with apiVersion are whole manifests; others show a part of one. */
async function manifestsOfPage(path: string): Promise<Manifest[]> {
  const page = await readFile(join(root, path), 'utf8')
  return [...page.matchAll(/^```yaml\n(apiVersion:.*?)^```$/gms)].map(([, text = ''], index) => ({
    place: path,
    title: `${path}, manifest ${index + 1}`,
    text,
  }))
}

async function allManifests(): Promise<Manifest[]> {
  const pages = ['README.md', 'docs/compatibility.md', ...(await filesIn('docs/guide', '.md'))]
  const examples = await filesIn('examples', '.yaml')
  return [
    ...(await Promise.all(pages.map(manifestsOfPage))).flat(),
    ...(await Promise.all(
      examples.map(async (title) => ({
        place: dirname(title),
        title,
        text: await readFile(join(root, title), 'utf8'),
      })),
    )),
  ]
}

const manifests = await allManifests()

describe('the manifests of guide and examples', () => {
  let cluster: TestCluster
  let folder: string

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'outrigger-docs-'))
    cluster = await startTestCluster()
    for (const name of ['kruise-system', 'logging']) await makeNamespace(name)
  })

  afterAll(async () => {
    await cluster?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function makeNamespace(name: string): Promise<void> {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
    try {
      await cluster.admin.create(resources.namespaces, namespace)
    } catch (error) {
      if (!isAlreadyExists(error)) throw error
    }
  }

  it('are there', () => {
    expect(manifests.length).toBeGreaterThan(10)
  })

  it.each([...new Set(manifests.map(({ place }) => place))])(
    'what %s shows is clean for outrigger lint',
    async (place) => {
      const files = await mkdtemp(join(folder, 'page-'))
      const shown = manifests.filter((manifest) => manifest.place === place)
      await Promise.all(shown.map(({ text }, index) => writeFile(join(files, `${index}.yaml`), text)))
      const found = await new Promise<string>((done) => {
        execFile(process.execPath, [program, 'lint', '-f', files], (_, out, error) => done(out + error))
      })
      expect(found).toBe('')
    },
  )

  it.each(manifests)('$title is accepted by the API server', async ({ text }) => {
    for (const { object } of parseManifests(text)) {
      const kind = `${object.apiVersion} ${object.kind}`
      const resource = kinds[kind]
      if (resource === undefined) throw new Error(`no resource for ${kind}`)
      const { namespace = '', name } = object.metadata
      await cluster.admin.patch<KubeObject>(
        resource,
        { namespace, name },
        { type: 'apply', body: object },
        { fieldManager: 'docs', dryRun: true },
      )
    }
  })
})

describe('the page of annotations', () => {
  it('lists all of ours, and no others', async () => {
    const page = await readFile(join(root, 'docs/reference/annotations.md'), 'utf8')
    const listed = [...page.matchAll(/^\| `(outrigger\.dev\/[^`]+)`/gm)].map(([, name]) => name).sort()
    const ours = [...Object.values(sidecarSetAnnotations), ...Object.values(podAnnotations)]
    expect(listed).toEqual(ours.filter((name) => name.startsWith('outrigger.dev/')).sort())
  })

  it('leads to headings that are there', async () => {
    const page = await readFile(join(root, 'docs/reference/annotations.md'), 'utf8')
    for (const [, file = '', anchor = ''] of page.matchAll(/\]\(\.\.\/guide\/([^)#]+)#([^)]+)\)/g)) {
      const guide = await readFile(join(root, 'docs/guide', file), 'utf8')
      const headings = [...guide.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
        heading
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      )
      expect(headings, `${file}#${anchor}`).toContain(anchor)
    }
  })
})
