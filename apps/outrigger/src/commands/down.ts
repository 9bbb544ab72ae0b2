import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { SystemClock, silentLogger, UserError } from '@outrigger/foundation'
import type { Command } from 'commander'
import { openDataDirectory, removeDataDirectory } from '../data-directory.ts'
import { absolutePath, type Environment } from '../environment.ts'
import { programFolders } from '../parts/pod-runtimes.ts'

interface DownSettings {
  readonly dataDir?: string
  readonly purge: boolean
}

export function addDownCommand(program: Command, environment: Environment): void {
  program
    .command('down')
    .description('stop the containers that outrigger up left running')
    .option('--data-dir <folder>', 'the data directory of that cluster (default: ~/.outrigger)')
    .option('--purge', 'remove its state, images and certificates too', false)
    .action((settings: DownSettings) => takeDown(settings, environment))
}

async function takeDown(settings: DownSettings, environment: Environment): Promise<void> {
  const path = absolutePath(environment, settings.dataDir ?? join(environment.homeDirectory, '.outrigger'))
  await access(path).catch((error: unknown) => {
    throw new UserError(`there is no cluster in ${path}`, 'name its folder with --data-dir', { cause: error })
  })
  const directory = await openDataDirectory(path, environment.processId)
  const hasContainers = await access(directory.containerd).then(
    () => true,
    () => false,
  )
  if (hasContainers) {
    const { startContainerd } = await import('@outrigger/runtime-cri')
    const containerd = await startContainerd({
      directory: directory.path,
      clock: new SystemClock(),
      logger: silentLogger,
      path: programFolders(environment),
    })
    await containerd.stop(settings.purge ? 'remove everything' : 'stop pods')
  }
  await directory.release()
  if (settings.purge) await removeDataDirectory(directory)
  environment.writeOut(
    settings.purge ? `Nothing is left of ${path}.\n` : 'No container runs any more; the state is kept.\n',
  )
}
