import { readEnvironment } from './environment.ts'
import { runProgram } from './program.ts'

await runProgram(readEnvironment())
