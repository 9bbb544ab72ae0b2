import { defineConfig } from 'vitest/config'

/**
 * Two projects: `unit` is everything that needs nothing outside the process, `system` starts real
 * servers, processes and containers and therefore runs one file at a time.
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
          exclude: ['tests/transcripts/**'],
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
