#!/usr/bin/env node
// Runs cargo with the project's libtorch in reach: node scripts/cargo.mjs test --test parity

import { cargoEnvironment, run } from './setup/environment.mjs'

process.exitCode = await run('cargo', process.argv.slice(2), { env: cargoEnvironment() })
