#!/usr/bin/env node
// The first thing to try: builds what is not built, then finds the people on the sample photo.

import path from 'node:path'
import runtime from '../lib/runtime.cjs'
import { run } from './setup/environment.mjs'

const node = (file, ...args) => run(process.execPath, [path.join(runtime.ROOT, file), ...args])

let status = await node('scripts/build.mjs', '--if-needed')
if (status === 0) {
  status = await node(
    'bin/pose4d.mjs',
    'process',
    'examples/sample.jpg',
    '--overlay',
    'out/sample-poses.png',
    ...process.argv.slice(2),
  )
}
process.exitCode = status
