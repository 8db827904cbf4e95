// Help texts, made from the commands' own descriptions.

const HEAD = "pose4d: people's 3D poses from photos and video"

export function generalHelp(commands) {
  const width = Math.max(...commands.map((command) => command.name.length))
  return [
    HEAD,
    '',
    'Usage: pose4d <command> [options]',
    '',
    'Commands:',
    ...commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`),
    '',
    'Options:',
    '  -h, --help     this text; `pose4d <command> --help` for a command',
    '  -v, --version  the version',
    '',
    'Exit codes: 0 done; 1 some frames failed, or something was found missing or damaged; 2 the command was not understood;',
    '3 the engine, ffmpeg, a download or a file failed; 130 interrupted.',
  ].join('\n')
}

/** A command that is a group of commands. */
export function groupHelp({ usage, summary, commands, notes = [] }) {
  const rows = commands.map((command) => [command.name.split(' ').at(-1), command.summary])
  const width = Math.max(...rows.map(([name]) => name.length))
  return [
    `Usage: ${usage}`,
    '',
    `${summary[0].toUpperCase()}${summary.slice(1)}.`,
    '',
    'Commands:',
    ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`),
    ...(notes.length > 0 ? ['', ...notes] : []),
  ].join('\n')
}

export function commandHelp(command) {
  const options = { ...command.options, help: { short: 'h', text: 'this text' } }
  const rows = Object.entries(options).map(([name, option]) => [
    `${option.short ? `-${option.short}, ` : '    '}--${name}${option.value ? ` <${option.value}>` : ''}`,
    option.text,
  ])
  const width = Math.max(...rows.map(([flag]) => flag.length))
  const lines = [
    `Usage: ${command.usage}`,
    '',
    `${command.summary[0].toUpperCase()}${command.summary.slice(1)}.`,
    '',
    'Options:',
  ]
  lines.push(...rows.map(([flag, text]) => `  ${flag.padEnd(width)}  ${text}`))
  if (command.examples)
    lines.push(
      '',
      'Examples:',
      ...command.examples.flatMap(([line, text]) => [`  # ${text}`, `  ${line}`]),
    )
  return lines.join('\n')
}
