import { convertSidecarSet, defaultSidecarSet, outriggerResources, type SidecarSet } from '@outrigger/api'
import { ApiError, isConflict, isNotFound } from '@outrigger/client'
import { UserError } from '@outrigger/foundation'
import type { ResourceRef } from '@outrigger/kube'
import type { Command } from 'commander'
import { type ClusterSession, withCluster } from '../cluster/cluster-session.ts'
import { readContents, readPicture, readPods } from '../cluster/read-cluster.ts'
import { type ConnectionSettings, withConnectionFlags } from '../connection.ts'
import type { Environment } from '../environment.ts'
import { isSidecarSet } from '../manifests/cluster-picture.ts'
import { type Manifest, namesOf, placeOf, readManifests } from '../manifests/manifest-files.ts'
import { paintFor } from '../rendering/paint.ts'
import { formatPreview } from '../rollout/format-preview.ts'
import { previewUpdate, type UpdatePreview } from '../rollout/update-preview.ts'
import { collect, parseChoice } from '../settings.ts'

interface PlanSettings extends ConnectionSettings {
  readonly filename: readonly string[]
  readonly output: 'text' | 'json'
}

export function addPlanCommand(program: Command, environment: Environment): void {
  const command = program
    .command('plan')
    .description('say what applying a SidecarSet would mean for the pods of a cluster, and change nothing')
    .requiredOption(
      '-f, --filename <path>',
      'SidecarSets: file, folder, or - for standard input; repeatable',
      collect((text) => text),
    )
    .option('-o, --output <format>', 'text or json', parseChoice('-o', ['text', 'json']), 'text')
    .addHelpText('after', '\nExample:\n  outrigger plan -f sidecarset.yaml')
  withConnectionFlags(command).action((settings: PlanSettings) => plan(settings, environment))
}

async function plan(settings: PlanSettings, environment: Environment): Promise<void> {
  const manifests = (await readManifests(settings.filename, environment)).filter(isSidecarSet)
  if (manifests.length === 0)
    throw new UserError(`there is no SidecarSet in ${namesOf(settings.filename)}`, 'name its file with -f')
  await withCluster(settings, environment, async ({ client }) => {
    const changes = []
    for (const manifest of manifests) changes.push(await rehearse(client, manifest))
    const [picture, pods] = await Promise.all([readPicture(client), readPods(client)])
    const previews: UpdatePreview[] = []
    for (const { next, current } of changes) {
      const contents = current && (await readContents(client, current))
      previews.push(previewUpdate(next, current, pods, picture.namespace, contents, picture.canResizePods))
    }
    const paint = paintFor(environment)
    environment.writeOut(
      settings.output === 'json'
        ? `${JSON.stringify(previews, undefined, 2)}\n`
        : previews.map((preview) => formatPreview(preview, paint)).join('\n'),
    )
  })
}

const mostAttempts = 5

/** The SidecarSet before and after, as the server would store it. @throws UserError when it would refuse. */
async function rehearse(
  client: ClusterSession['client'],
  manifest: Manifest,
): Promise<{ next: SidecarSet; current: SidecarSet | undefined }> {
  const resource = resourceOf(manifest)
  const sidecarSet = manifest.object as SidecarSet
  const { name } = sidecarSet.metadata
  for (let attempt = 1; ; attempt++) {
    const current = await client.get<SidecarSet>(resource, { namespace: '', name }).catch(undefinedIfMissing)
    try {
      const stored =
        current === undefined
          ? await client.create<SidecarSet>(resource, sidecarSet, { dryRun: true })
          : await client.update<SidecarSet>(resource, merged(current, sidecarSet), { dryRun: true })
      return { next: inManagerVersion(stored), current: current && inManagerVersion(current) }
    } catch (error) {
      // Status is written often during a rollout; what it came between is asked again.
      if (isConflict(error) && attempt < mostAttempts) continue
      throw refusalOf(error, manifest)
    }
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (!isNotFound(error)) throw error
}

function refusalOf(error: unknown, manifest: Manifest): unknown {
  if (!(error instanceof ApiError) || ![400, 403, 409, 422].includes(error.code)) return error
  return new UserError(`${placeOf(manifest)}: the server would refuse it: ${error.message}`, undefined, {
    cause: error,
  })
}

function resourceOf(manifest: Manifest): ResourceRef {
  const known = [outriggerResources.sidecarSets, outriggerResources.sidecarSetsV1beta1]
  const found = known.find(({ group, version }) => `${group}/${version}` === manifest.object.apiVersion)
  if (found !== undefined) return found
  throw new UserError(
    `${placeOf(manifest)}: there is no ${manifest.object.apiVersion}`,
    `use ${known.map(({ group, version }) => `${group}/${version}`).join(' or ')}`,
  )
}

/** What is stored after an apply of the whole file: its spec, and its labels and annotations beside those there are. */
function merged(current: SidecarSet, file: SidecarSet): SidecarSet {
  const { labels, annotations } = file.metadata
  return {
    ...file,
    metadata: {
      ...current.metadata,
      ...(labels && { labels: { ...current.metadata.labels, ...labels } }),
      ...(annotations && { annotations: { ...current.metadata.annotations, ...annotations } }),
    },
  }
}

/** Where no webhook of ours is installed, defaults and hashes are still ours to know. */
function inManagerVersion(sidecarSet: SidecarSet): SidecarSet {
  const { group, version } = outriggerResources.sidecarSets
  return defaultSidecarSet(convertSidecarSet(sidecarSet, `${group}/${version}`) as SidecarSet)
}
