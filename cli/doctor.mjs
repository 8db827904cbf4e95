// `pose4d doctor`: what this machine has, what is missing, and how to get it.

import { runChecks } from './checks.mjs'
import { EXIT, UsageError } from './exit.mjs'

export const doctor = {
  name: 'doctor',
  summary: 'show versions, libtorch, CUDA, memory and models, and what is missing',
  usage: 'pose4d doctor [options]',
  options: { json: { type: 'boolean', text: 'print the findings as JSON' } },
  examples: [
    ['pose4d doctor', 'exit code 0 if all that is needed is there, 1 if not'],
    ['pose4d doctor --json', 'the same for a script or a bug report'],
  ],
  run,
}

const COLOURS = { ok: 32, warn: 33, missing: 31 }

async function run({ values, positionals }, { stdout = process.stdout } = {}) {
  if (positionals.length > 0)
    throw new UsageError(`\`doctor\` takes no arguments, found \`${positionals[0]}\`.`, {
      command: 'doctor',
    })
  const checks = await runChecks()
  const healthy = checks.every((check) => check.state !== 'missing')
  if (values.json) stdout.write(`${JSON.stringify({ healthy, checks }, null, 2)}\n`)
  else stdout.write(`${text(checks, stdout.isTTY && !process.env.NO_COLOR)}\n`)
  return healthy ? EXIT.OK : EXIT.DOCTOR_FAILED
}

function text(checks, colour) {
  const width = Math.max(...checks.map((check) => check.name.length))
  const lines = []
  for (const { state, name, found, fix } of checks) {
    const word = state.padEnd(7)
    lines.push(
      `${colour ? `\x1b[${COLOURS[state]}m${word}\x1b[0m` : word}  ${name.padEnd(width)}  ${found}`,
    )
    if (fix) lines.push(...fix.split('\n').map((line) => `${' '.repeat(9 + width)}  → ${line}`))
  }
  const missing = checks.filter((check) => check.state === 'missing').length
  lines.push(
    '',
    missing === 0
      ? 'All that is needed is here.'
      : `${missing} thing${missing > 1 ? 's' : ''} missing; see the arrows.`,
  )
  return lines.join('\n')
}
