import { setMaxListeners } from 'node:events'
import { readEnvironment } from './environment.ts'
import { runProgram } from './program.ts'

// A dozen parts share one signal to stop; Node's default of ten would call that a leak.
setMaxListeners(100)

await runProgram(readEnvironment())
