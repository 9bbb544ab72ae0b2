#!/usr/bin/env node
// The program is built by `npm install` (or `npm run build`) into dist/.
try {
  await import('../dist/outrigger.mjs')
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND' || !String(error.message).includes('dist/outrigger.mjs'))
    throw error
  process.stderr.write('outrigger: the program is not built; run npm run build\n')
  process.exitCode = 1
}
