import { build } from 'esbuild'
import { bundleSettings } from './bundle-settings.ts'

/**
 * Bundles the program into apps/outrigger/dist. Libraries with native parts stay outside; what only some
 * commands need (gRPC, certificates) lands in chunks of its own and is loaded when it is needed.
 */
await build({
  entryPoints: { outrigger: 'apps/outrigger/src/main.ts' },
  outdir: 'apps/outrigger/dist',
  outExtension: { '.js': '.mjs' },
  sourcemap: 'linked',
  ...bundleSettings,
})
