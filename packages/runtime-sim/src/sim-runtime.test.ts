import { SeededRandom } from '@outrigger/foundation'
import { ManualClock } from '@outrigger/foundation/testing'
import { podRuntimeContract } from '@outrigger/kubelet/runtime-contract'
import { createSimRuntime } from './sim-runtime.ts'

podRuntimeContract('the simulated runtime', async () => {
  const clock = new ManualClock()
  return {
    runtime: createSimRuntime({ clock, random: new SeededRandom(7), images: ['busybox:1.36'] }),
    image: 'busybox:1.36',
    wait: async (done) => {
      for (let step = 0; step < 200 && !(await done()); step++) await clock.advance(100)
    },
    close: async () => {},
  }
})
