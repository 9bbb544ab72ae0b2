import { defineConfig } from 'vitest/config'

/** Real containers and lasting faults: about as long as everything else together. */
const onMachine = ['containerd', 'hand-over', 'story', 'fault'].map(
  (folder) => `tests/${folder}/**/*.test.ts`,
)

/**
 * `unit` is everything that needs nothing outside the process. `system` and `machine` start real servers, processes
 * and containers; both run one file at a time, and side by side.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'apps/*/src/**/*.test.ts', 'tools/**/*.test.ts'],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: 'system',
          include: ['tests/**/*.test.ts'],
          exclude: ['tests/transcripts/**', ...onMachine],
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'machine',
          include: onMachine,
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        // Timing decides some of it, so it is run by hand: `npm run transcripts`.
        test: {
          name: 'transcripts',
          include: ['tests/transcripts/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
    ],
  },
})
