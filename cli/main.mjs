// Picks the command, prints help, and turns errors into messages and exit codes.
import { parse, unknownCommand } from './args.mjs'
import { bench_ } from './bench/command.mjs'
import { depth_ } from './depth.mjs'
import { doctor } from './doctor.mjs'
import { EXIT } from './exit.mjs'
import { export_ } from './export.mjs'
import { commandHelp, generalHelp, groupHelp } from './help.mjs'
import { models } from './models/group.mjs'
import { process_ } from './process.mjs'
import { serve } from './serve.mjs'
import { stdio } from './stdio.mjs'
import { version } from './version.mjs'
import { warmup } from './warmup.mjs'
import { worker } from './worker.mjs'

const COMMANDS = [process_, depth_, export_, serve, worker, stdio, warmup, models, bench_, doctor]

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
    return print(generalHelp(COMMANDS))
  if (first === 'help' && rest.length === 0) return print(generalHelp(COMMANDS))
  if (first === 'help') return print(help(find(rest).command))
  const { command, rest: args } = find(argv)
  if (command.commands && (args.length === 0 || ['--help', '-h'].includes(args[0])))
    return print(groupHelp(command))
  const parsed = parse(command, args)
  if (parsed.values.help) return print(help(command))
  return command.run(parsed, io)
}

const help = (command) => (command.commands ? groupHelp(command) : commandHelp(command))

/** The command that `argv` begins with, through groups, and what follows. */
function find(argv) {
  let command = pick(COMMANDS, argv[0], ['help', '--help', '--version'])
  let at = 1
  while (command.commands && argv[at] !== undefined && !['--help', '-h'].includes(argv[at])) {
    command = pick(command.commands, argv[at], ['--help'], command.name)
    at += 1
  }
  return { command, rest: argv.slice(at) }
}

/** One of `commands` by the last word of its name. */
function pick(commands, typed, others, group) {
  const word = ({ name }) => name.split(' ').at(-1)
  const command = commands.find((candidate) => word(candidate) === typed)
  if (!command) throw unknownCommand(typed, [...commands.map(word), ...others], group)
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
