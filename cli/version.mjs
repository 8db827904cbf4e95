// The version of the package that this command line belongs to.
import { readFileSync } from 'node:fs'

const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'))

export const version = manifest.version
export const nodeRange = manifest.engines?.node
