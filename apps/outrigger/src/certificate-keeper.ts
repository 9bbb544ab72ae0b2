import type { Clock, Logger, Runnable } from '@outrigger/foundation'

export interface CertificateKeeperOptions {
  /** Renews what is due; answers with the files it wrote. */
  readonly renew: () => Promise<readonly string[]>
  /** Called once after something was renewed. */
  readonly onRenewed: () => void
  /** Calls back when a person asks for a look now; answers with what ends that. */
  readonly onRequest: (look: () => void) => () => void
  readonly clock: Clock
  readonly logger: Logger
  /** Milliseconds between looks. Defaults to twelve hours; certificates are renewed with a third of their life left. */
  readonly every?: number
}

/**
 * Looks after certificates while the cluster runs. New ones are taken into use by a restart in place:
 * containers go on, clients reconnect, and no part has to know how to swap keys in flight.
 */
export function createCertificateKeeper(options: CertificateKeeperOptions): Runnable {
  const { clock, logger, every = 12 * 60 * 60_000 } = options
  return {
    name: 'certificate keeper',
    async run(signal) {
      while (!signal.aborted) {
        await nextLook(options, clock, every, signal)
        if (signal.aborted) return
        try {
          const renewed = await options.renew()
          if (renewed.length === 0) continue
          logger.info('certificates were renewed; restarting in place', { files: renewed })
          options.onRenewed()
        } catch (error) {
          logger.error('certificates could not be renewed', {
            error: error instanceof Error ? error.message : String(error),
          })
        }
      }
    },
  }
}

/** Resolves when it is time to look, somebody asks, or the signal aborts. */
async function nextLook(
  { onRequest }: CertificateKeeperOptions,
  clock: Clock,
  every: number,
  signal: AbortSignal,
): Promise<void> {
  const waking = new AbortController()
  const wake = () => waking.abort()
  signal.addEventListener('abort', wake, { once: true })
  const ignore = onRequest(wake)
  await clock.sleep(every, waking.signal).catch(() => {})
  signal.removeEventListener('abort', wake)
  ignore()
}
