#!/usr/bin/env node
// The program is built by `npm install` (or `npm run build`) into dist/.
try {
  await import('../dist/outrigger.mjs')
} catch (error) {
  const isUnbuilt =
    error?.code === 'ERR_MODULE_NOT_FOUND' &&
    /^Cannot find module '[^']*dist[\\/]outrigger\.mjs'/.test(error.message)
  if (!isUnbuilt) throw error
  process.stderr.write('outrigger: the program is not built; run npm run build\n')
  process.exitCode = 1
}
