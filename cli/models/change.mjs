// `pose4d models download`, `optimize`, `clear`, `export` and `import`: what changes the cache.

import { choice } from '../args.mjs'
import { EXIT, UsageError } from '../exit.mjs'
import { count, size } from '../units.mjs'
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
        models.optimize({ ...options, dryRun: Boolean(values['dry-run']) }),
      text: (answer) => optimizeText(answer, Boolean(values['dry-run'])),
      code: ({ errors }) => (errors.length > 0 ? EXIT.ENVIRONMENT : EXIT.OK),
    })
  },
}

export function optimizeText({ filesChecked, removed, written, spaceFreedMb, errors }, dryRun) {
  const [remove, write] = dryRun ? ['would remove', 'would write'] : ['removed', 'written']
  const freed = size(spaceFreedMb * 1e6)
  return [
    ...removed.map((file) => `${remove}  ${file.path}  ${size(file.bytes)}  ${file.why}`),
    ...written.map((file) => `${write}  ${file.path}`),
    ...errors.map((error) => `failed  ${error}`),
    `${count(filesChecked, 'file')} checked, ${remove} ${removed.length} (${freed}), ${write} ${written.length}.`,
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
    })
  },
}

export function clearText({ removed, spaceFreedMb }) {
  const freed = size(spaceFreedMb * 1e6)
  const lines = removed.map((file) => `removed  ${file.path}  ${size(file.bytes)}`)
  return [...lines, `${count(removed.length, 'file')} removed, ${freed} freed.`].join('\n')
}

export const export_ = {
  name: 'models export',
  summary: 'write a model of the cache to a file, in any format',
  usage: 'pose4d models export --model <name> --output <file> [options]',
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
    exactly('models export', positionals, [])
    const name = needed('models export', values, 'model')
    const output = needed('models export', values, 'output')
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
  usage: 'pose4d models import --input <file> --name <name> [options]',
  options: {
    input: { type: 'string', short: 'i', value: 'file', text: 'which file' },
    name: { type: 'string', value: 'name', text: 'what it is, as `pose4d models list` calls it' },
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
    exactly('models import', positionals, [])
    const input = needed('models import', values, 'input')
    const name = needed('models import', values, 'name')
    return ask(values, io, {
      work: ({ models }, options) => models.import(input, name, options),
      text: ({ path, bytes }) => `${name}  ${size(bytes)}  ${path}`,
    })
  },
}
