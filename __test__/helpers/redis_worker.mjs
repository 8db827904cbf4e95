// A worker as `pose4d worker` starts it, with shards small enough for small videos; `deadlyFrame`: a frame at which
// looking kills the process.

import { createEngine } from '../../index.mjs'
import logs from '../../service/redis/log.cjs'
import workers from '../../service/redis/worker.cjs'

const { deadlyFrame, engineConfig, ...options } = JSON.parse(process.argv[2])

/** The engine with one frame that it does not survive. */
function deadly(engine) {
  return new Proxy(engine, {
    get(target, name) {
      if (name === 'lookAtFrames')
        return (frames, rest) => {
          if (frames.some(({ frameNumber }) => frameNumber === deadlyFrame))
            process.kill(process.pid, 'SIGKILL')
          return target.lookAtFrames(frames, rest)
        }
      const value = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const engine = deadlyFrame === undefined ? undefined : deadly(await createEngine(engineConfig))
const worker = new workers.Worker({
  ...options,
  ...(engine ? { engine } : { engineConfig }),
  log: logs.makeLog('info'),
})
await worker.start()
process.once('SIGTERM', async () => {
  await worker.stop()
  await engine?.close()
})
