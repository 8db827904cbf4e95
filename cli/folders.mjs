// Makes the folders that results are written to.
import { mkdir } from 'node:fs/promises'

import { EnvironmentError } from './exit.mjs'

export async function makeFolder(path) {
  await mkdir(path, { recursive: true }).catch((error) => {
    throw new EnvironmentError(`Cannot make the folder ${path}: ${error.message}`)
  })
}
