import { forbidden, newestRelease, type Release } from '@outrigger/kube'
import { refuseOptions } from '../registry/request-options.ts'

/** What a server of one release does apart from its kinds. */
export interface ReleaseHabits {
  /** Lists all resources in one document where a client asks for it. */
  readonly aggregatesDiscovery: boolean
  readonly servesOpenApiV3: boolean
  /** What `/version` answers. */
  readonly version: Readonly<Record<string, string>>
  /**
   * Changes the options of a request into what such a server understands of them.
   *
   * @throws StatusError 422 for those it knows and forbids.
   */
  adaptQuery(query: URLSearchParams): void
}

/**
 * The habits of a release, by the releases that switched a feature gate on: AggregatedDiscoveryEndpoint 1.27, OpenAPIV3
 * 1.24, ServerSideFieldValidation 1.25, WatchList 1.32, off in 1.33, on again from 1.34 (Kubernetes, "Feature Gates").
 */
export function habitsOf(release: Release): ReleaseHabits {
  return {
    aggregatesDiscovery: release >= 27,
    servesOpenApiV3: release >= 24,
    version: versionOf(release),
    adaptQuery(query) {
      // Unknown fields vanished without a word.
      if (release < 25) query.set('fieldValidation', 'Ignore')
      if (!query.has('sendInitialEvents')) return
      if (release < 27) query.delete('sendInitialEvents')
      else if (release < 32 || release === 33)
        refuseOptions('ListOptions', [
          forbidden(
            'sendInitialEvents',
            'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
          ),
        ])
    },
  }
}

function versionOf(release: Release): Readonly<Record<string, string>> {
  const minor = String(release)
  return {
    major: '1',
    minor,
    ...(release < 33
      ? {}
      : {
          emulationMajor: '1',
          emulationMinor: minor,
          minCompatibilityMajor: '1',
          minCompatibilityMinor: String(release - 1),
        }),
    gitVersion: `v1.${minor}.${release === newestRelease ? '2' : '0'}`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: 'none',
    platform: 'linux/amd64',
  }
}
