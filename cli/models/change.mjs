// `pose4d models download`, `optimize`, `clear`, `export` and `import`: what changes the cache.

import { choice } from '../args.mjs'
import { EXIT, UsageError } from '../exit.mjs'
import { count, megabytes, size } from '../units.mjs'
import { ask, CACHE_OPTIONS, exactly, JSON_OPTION, needed, QUIET_OPTION } from './common.mjs'
import { FORMATS } from './inspect.mjs'

export const download = {
  name: 'models download',
  summary: 'fetch model files, or whole sets of them; an interrupted download goes on where it was',
  usage: 'pose4d models download <name…> [options]',
  options: { ...CACHE_OPTIONS, ...JSON_OPTION, ...QUIET_OPTION },
  examples: [
    ['pose4d models download dpt-hybrid', 'one file'],
    ['pose4d models download 4dhumans', 'a set: all that 4D-Humans needs, but for SMPL'],
  ],
  run: ({ values, positionals }, io = {}) => {
    if (positionals.length === 0)
      throw new UsageError(
        '`models download` needs at least one name; `pose4d models list` shows them.',
        {
          command: 'models download',
        },
      )
    return ask(values, io, {
      work: ({ models }, options) => models.download(positionals, options),
      text: (files) => files.map(downloadText).join('\n'),
      code: (files) => (files.every((model) => model.available) ? EXIT.OK : EXIT.MODELS_INCOMPLETE),
    })
  },
}

function downloadText({ name, available, path, bytes, problem }) {
  return available ? `${name}  ${size(bytes)}  ${path}` : `${name}  not here: ${problem}`
}

export const optimize = {
  name: 'models optimize',
  summary: 'remove partial and corrupt files and duplicates, write the fast forms that are missing',
  usage: 'pose4d models optimize [options]',
  options: {
    'dry-run': { type: 'boolean', text: 'only say what would be done' },
    archives: { type: 'boolean', text: 'remove archives, too, of which everything is unpacked' },
    ...CACHE_OPTIONS,
    ...JSON_OPTION,
    ...QUIET_OPTION,
  },
  examples: [
    ['pose4d models optimize --dry-run', 'what would go, and why'],
    ['pose4d models optimize', 'do it'],
  ],
  run: ({ values, positionals }, io = {}) => {
    exactly('models optimize', positionals, [])
    return ask(values, io, {
      work: ({ models }, options) =>
        models.optimize({
          ...options,
          dryRun: Boolean(values['dry-run']),
          archives: Boolean(values.archives),
        }),
      text: optimizeText,
      code: ({ errors }) => (errors.length > 0 ? EXIT.ENVIRONMENT : EXIT.OK),
    })
  },
}

export function optimizeText(answer) {
  const { filesChecked, removed, kept, fastForms, spaceFreedMb, errors, dryRun } = answer
  const [remove, freed] = dryRun ? ['would remove', 'would be freed'] : ['removed', 'freed']
  return [
    ...removed.map((file) => `${remove}  ${file.path}  ${size(file.bytes)}  ${file.reason}`),
    ...kept.map((file) => `kept  ${file.path}  ${file.reason}`),
    ...fastForms.map((path) => `written  ${path}`),
    ...errors.map((error) => `failed  ${error}`),
    `${count(filesChecked, 'file')} checked, ${remove} ${removed.length}, ${megabytes(spaceFreedMb)} ${freed}.`,
  ].join('\n')
}

export const clear = {
  name: 'models clear',
  summary: 'remove one model from the cache folder, or everything (needs --confirm)',
  usage: 'pose4d models clear [--model <name>] [--confirm] [options]',
  options: {
    model: { type: 'string', value: 'name', text: 'only this one' },
    confirm: { type: 'boolean', text: 'yes, remove all model files' },
    ...CACHE_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    ['pose4d models clear --model dpt-large', 'one model and its fast form'],
    ['pose4d models clear --confirm', 'all of them; files of other tools are never touched'],
  ],
  run: ({ values, positionals }, io = {}) => {
    exactly('models clear', positionals, [])
    if (values.model === undefined && !values.confirm)
      throw new UsageError(
        'This removes every model file in the cache: say so with `--confirm`, or name one with `--model`.',
        {
          command: 'models clear',
        },
      )
    return ask(values, io, {
      work: ({ models }, options) =>
        models.clear({ ...options, model: values.model, confirm: Boolean(values.confirm) }),
      text: clearText,
      code: ({ errors }) => (errors.length > 0 ? EXIT.ENVIRONMENT : EXIT.OK),
    })
  },
}

export function clearText({ removed, spaceFreedMb, kept, errors }) {
  return [
    ...removed.map((path) => `removed  ${path}`),
    ...kept.map(({ path, reason }) => `kept     ${path}  ${reason}`),
    ...errors.map((error) => `failed   ${error}`),
    `${count(removed.length, 'file')} removed, ${megabytes(spaceFreedMb)} freed.`,
  ].join('\n')
}

/** Two values, as options or as arguments. */
function both(command, positionals, values, names) {
  if (names.some((name) => values[name] !== undefined)) {
    exactly(command, positionals, [])
    return names.map((name) => needed(command, values, name))
  }
  return exactly(command, positionals, names)
}

export const export_ = {
  name: 'models export',
  summary: 'write a model of the cache to a file, in any format',
  usage:
    'pose4d models export --model <name> --output <file> [options]  (or: export <name> <file>)',
  options: {
    model: { type: 'string', value: 'name', text: 'which one' },
    output: { type: 'string', short: 'o', value: 'file', text: 'where to' },
    format: {
      type: 'string',
      value: 'name',
      text: `${FORMATS.join(', ')} (default: by the name of the file)`,
    },
    ...CACHE_OPTIONS,
    ...JSON_OPTION,
    ...QUIET_OPTION,
  },
  examples: [['pose4d models export --model dpt-large --output dpt.h5', 'for h5py']],
  run: ({ values, positionals }, io = {}) => {
    const [name, output] = both('models export', positionals, values, ['model', 'output'])
    const format = choice(values, 'format', FORMATS)
    return ask(values, io, {
      work: ({ models }, options) => models.export(name, output, format, options),
      text: ({ path, bytes }) => `${path}  ${size(bytes)}`,
    })
  },
}

export const import_ = {
  name: 'models import',
  summary: 'take a file of your own into the cache, once it has been checked',
  usage: 'pose4d models import --input <file> --name <name> [options]  (or: import <file> <name>)',
  options: {
    input: { type: 'string', short: 'i', value: 'file', text: 'which file' },
    name: { type: 'string', value: 'name', text: 'what it is, as `pose4d models list` calls it' },
    link: { type: 'boolean', text: 'leave the file where it is, and link to it' },
    force: { type: 'boolean', text: 'take it although it is not the published file' },
    ...CACHE_OPTIONS,
    ...JSON_OPTION,
    ...QUIET_OPTION,
  },
  examples: [
    [
      'pose4d models import --input basicModel_neutral_lbs_10_207_0_v1.0.0.pkl --name smpl-neutral',
      'SMPL, which only you can accept the licence of',
    ],
  ],
  run: ({ values, positionals }, io = {}) => {
    const [input, name] = both('models import', positionals, values, ['input', 'name'])
    return ask(values, io, {
      work: ({ models }, options) =>
        models.import(input, name, {
          ...options,
          link: Boolean(values.link),
          force: Boolean(values.force),
        }),
      text: (taken) =>
        [`${taken.name}  ${size(taken.bytes)}  ${taken.path}`, ...taken.warnings].join('\n'),
    })
  },
}
