#!/usr/bin/env node
// Campaigns against the downloader: killed at random moments and at every step, and many processes
// at once for one file, with working file locks and without. Everything happens on this machine.
//   node scripts/campaigns/downloads.mjs [--kills 500] [--rounds 50]

import { parseArgs } from 'node:util'
import { cargoEnvironment, run } from '../setup/environment.mjs'

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '50' },
  },
})
const env = {
  ...cargoEnvironment(),
  POSE4D_TEST_KILLS: values.kills,
  POSE4D_TEST_ROUNDS: values.rounds,
}
const tests = ['test', '--lib', 'download::campaign_tests::long']
// One after another, so that no campaign's load disturbs the next one's times.
const how = ['--', '--ignored', '--nocapture', '--test-threads=1']
process.exitCode = await run('cargo', [...tests, ...how], { env })
