import type { BuildOptions } from 'esbuild'

/** How the program is bundled; also what is measured is bundled so. */
export const bundleSettings = {
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  // ES modules first: a CommonJS library loaded on demand would hide its names behind `default`.
  mainFields: ['module', 'main'],
  target: 'node20.19',
  external: ['lmdb'],
  minifySyntax: true,
  banner: {
    // Bundled CommonJS libraries ask for `require`.
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
} as const satisfies BuildOptions
