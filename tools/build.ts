import { build } from 'esbuild'

/**
 * Bundles the program into apps/outrigger/dist. Libraries with native parts stay outside; what only some
 * commands need (gRPC, certificates) lands in chunks of its own and is loaded when it is needed.
 */
await build({
  entryPoints: { outrigger: 'apps/outrigger/src/main.ts' },
  outdir: 'apps/outrigger/dist',
  outExtension: { '.js': '.mjs' },
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  // ES modules first: a CommonJS library loaded on demand would hide its names behind `default`.
  mainFields: ['module', 'main'],
  target: 'node20.19',
  external: ['lmdb'],
  sourcemap: 'linked',
  minifySyntax: true,
  banner: {
    // Bundled CommonJS libraries ask for `require`.
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
})
