// `pose4d/service` as a user writes it.

import type { FastifyInstance } from 'fastify'
import { createEngine, type LegacyPoseResult } from 'pose4d'
import { createServer, PoseProcessPool, type ServiceOptions } from 'pose4d/service'

const options: ServiceOptions = {
  roots: ['/srv/videos'],
  token: 'secret',
  redis: 'redis://10.0.0.5',
  logger: { level: 'warn' },
}
const app: FastifyInstance = await createServer(options)
await app.listen({ port: 5000 })
await app.close()

const pool = new PoseProcessPool({ engine: await createEngine(), maxConcurrentProcesses: 4 })
const results: LegacyPoseResult[] = await pool.processRequest([
  { frameNumber: 0, imagePath: 'a.jpg' },
])
const { activeProcesses } = pool.getStatus()
const scale: number | undefined = results[0].cameraParams?.scale
void [activeProcesses, scale]
await pool.shutdown()

// @ts-expect-error: no such option
await createServer({ prot: 5000 })
// @ts-expect-error: not a number
new PoseProcessPool({ queueMaxSize: 'many' })
