// Picks the command, prints help, and turns errors into messages and exit codes.
import { parse, unknownCommand } from './args.mjs'
import { doctor } from './doctor.mjs'
import { EXIT } from './exit.mjs'
import { commandHelp, generalHelp } from './help.mjs'
import { process_ } from './process.mjs'
import { version } from './version.mjs'
import { warmup } from './warmup.mjs'

const COMMANDS = new Map([process_, warmup, doctor].map((command) => [command.name, command]))

/** Runs the command line and returns its exit code. */
export async function main(argv, io = {}) {
  quietOnClosedPipe()
  try {
    return await dispatch(argv, io)
  } catch (error) {
    return explain(error)
  }
}

async function dispatch(argv, io) {
  const [first, ...rest] = argv
  if (first === '--version' || first === '-v' || first === '-V') return print(version)
  if (first === undefined || first === '--help' || first === '-h')
    return print(generalHelp([...COMMANDS.values()]))
  if (first === 'help') {
    if (rest.length === 0) return print(generalHelp([...COMMANDS.values()]))
    return print(commandHelp(find(rest[0])))
  }
  const command = find(first)
  const parsed = parse(command, rest)
  if (parsed.values.help) return print(commandHelp(command))
  return command.run(parsed, io)
}

function find(name) {
  const command = COMMANDS.get(name)
  if (!command) throw unknownCommand(name, [...COMMANDS.keys(), 'help', '--help', '--version'])
  return command
}

function print(text) {
  process.stdout.write(`${text}\n`)
  return EXIT.OK
}

function explain(error) {
  const expected = error.exitCode !== undefined
  // An unforeseen error is a bug of ours: its stack is worth more than a tidy line.
  process.stderr.write(`pose4d: ${expected ? error.message : (error.stack ?? error)}\n`)
  if (error.exitCode === EXIT.USAGE)
    process.stderr.write(`See \`pose4d ${error.command ? `${error.command} ` : ''}--help\`.\n`)
  return error.exitCode ?? EXIT.ENVIRONMENT
}

/** `pose4d … | head` ends when head has enough; that is not an error. */
function quietOnClosedPipe() {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (error.code === 'EPIPE') process.exit(EXIT.OK)
      throw error
    })
  }
}
