// `pose4d models list`, `status`, `info` and `verify`: what is there, where, and whether it is whole.

import { EXIT } from '../exit.mjs'
import { table } from '../summary.mjs'
import { count, megabytes, size } from '../units.mjs'
import { ask, CACHE_OPTIONS, exactly, JSON_OPTION, QUIET_OPTION } from './common.mjs'

/** States of a file as people read them. */
const STATES = {
  verified: 'verified',
  unverified: 'here',
  missing: '–',
  corrupt: 'damaged',
  different: 'another model',
  unreadable: 'unreadable',
  hostile: 'hostile',
}

const stateOf = ({ state, source }) =>
  state === 'missing' && source === 'user' ? 'yours to supply' : STATES[state]

const expected = ({ expectedBytes, exact }) =>
  expectedBytes === null ? '–' : `${exact ? '' : '≈ '}${size(expectedBytes)}`

const whereOf = ({ source, origin }) =>
  origin === 'given' && source === 'package' ? 'npm' : (origin ?? '–')

const sizeOf = (model) => (model.bytes === null ? expected(model) : size(model.bytes))

/** What is wrong with a file that is there, and what to do. */
const complaint = ({ problem, remedy }) => [problem, remedy].filter(Boolean).join('; ')

export const list = {
  name: 'models list',
  summary: 'every model file: what it is for, whether it is here, where, how large',
  usage: 'pose4d models list [options]',
  options: { ...CACHE_OPTIONS, ...JSON_OPTION },
  examples: [
    ['pose4d models list', 'the whole manifest'],
    ['pose4d models list --json', 'with paths, sources and hashes, for a script'],
  ],
  run: ({ values, positionals }, io = {}) => {
    exactly('models list', positionals, [])
    return ask(values, io, {
      work: ({ models }, { cacheDir }) => models.list({ cacheDir }),
      text: listText,
    })
  },
}

export function listText(models) {
  const rows = models.map((model) => [
    model.name,
    model.family,
    sizeOf(model),
    stateOf(model),
    whereOf(model),
    model.licence,
  ])
  const here = models.filter((model) => model.available)
  const total = here.reduce((sum, model) => sum + model.bytes, 0)
  const wrong = models.filter((model) => !model.available && model.state !== 'missing')
  return [
    table(['name', 'family', 'size', 'state', 'where', 'licence'], rows, [
      'name',
      'family',
      'state',
      'where',
      'licence',
    ]),
    '',
    `${here.length} of ${count(models.length, 'file')} here, ${size(total)}.`,
    ...wrong.map((model) => `${model.name}: ${complaint(model)}`),
  ].join('\n')
}

export const status = {
  name: 'models status',
  summary: 'all that is known about some model files; exit code 1 if one is not here',
  usage: 'pose4d models status <name…> [options]',
  options: { ...CACHE_OPTIONS, ...JSON_OPTION },
  examples: [
    ['pose4d models status hmr2', 'paths, sizes, sources, licence'],
    ['pose4d models status hmr2 vitdet-h && ./run.sh', 'in a script'],
  ],
  run: ({ values, positionals }, io = {}) => {
    if (positionals.length === 0) exactly('models status', positionals, ['name…'])
    return ask(values, io, {
      work: ({ models }, { cacheDir }) =>
        positionals.map((name) => models.status(name, { cacheDir })),
      text: (found) => found.map(statusText).join('\n\n'),
      code: (found) => (found.every((model) => model.available) ? EXIT.OK : EXIT.MODELS_INCOMPLETE),
    })
  },
}

/** `  label  value` lines; what is not there is left out. */
function facts(pairs) {
  const given = pairs.filter(([, value]) => value !== undefined && value !== null)
  const width = Math.max(...given.map(([label]) => label.length))
  return given.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`).join('\n')
}

export function statusText(model) {
  const { licence, licenceNote, source, urls } = model
  const from = {
    package: `the npm package ${model.package}`,
    archive: `unpacked from ${model.archive}`,
    user: 'you: it is never fetched',
    download: urls.join(', '),
  }
  const published =
    model.sha256 ?? (model.prefix && `${model.prefix.algorithm} ${model.prefix.hex}…`)
  return [
    `${model.name}  ${stateOf(model)}`,
    facts([
      ['for', model.purpose],
      ['family', model.family],
      ['file', model.path ?? model.file],
      ['where', model.path && whereOf(model)],
      ['size', sizeOf(model)],
      ['trust', model.trust && TRUST[model.trust]],
      ['published', published],
      ...model.formats
        .filter((form) => form.precision)
        .map((form) => ['fast form', `${form.path} (${form.precision}, ${size(form.bytes)})`]),
      ...model.others.map((file) => ['also', `${file.path} (${file.origin})`]),
      ['licence', licenceNote ? `${licence}: ${licenceNote}` : licence],
      ['from', from[source]],
      ['problem', model.problem],
      ['remedy', model.remedy?.replaceAll('\n', '\n           ')],
    ]),
  ].join('\n')
}

export const info = {
  name: 'models info',
  summary: 'how much the cache holds, per format and model, and how healthy it is',
  usage: 'pose4d models info [options]',
  options: {
    detailed: { type: 'boolean', text: 'every model and format on its own' },
    ...CACHE_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    ['pose4d models info', 'totals, and health: good, large or cluttered'],
    ['pose4d models info --detailed --json', 'everything, for a script'],
  ],
  run: ({ values, positionals }, io = {}) => {
    exactly('models info', positionals, [])
    return ask(values, io, {
      work: ({ models }, { cacheDir, signal }) =>
        models.info({ cacheDir, signal, detailed: Boolean(values.detailed) }),
      text: infoText,
    })
  },
}

const HEALTH = {
  good: 'good',
  large: 'large: `pose4d models clear --model <name>` makes room',
  cluttered: 'cluttered: `pose4d models optimize` tidies up',
}

export function infoText(answer) {
  const { cacheDir, models, totalFiles, totalSizeMb, formats, cacheHealth, found } = answer
  const names = Object.keys(models)
  const lines = [
    `${cacheDir}: ${count(names.length, 'model')}, ${count(totalFiles, 'file')}, ${megabytes(totalSizeMb)}`,
    `Health: ${HEALTH[cacheHealth]}`,
  ]
  const kinds = Object.entries(formats).filter(([, files]) => files > 0)
  if (kinds.length > 0) lines.push(`Files: ${kinds.map(([kind, n]) => `${n} ${kind}`).join(', ')}`)
  if (names.length > 0) lines.push(modelsTable(models))
  const { largestModel: largest, averageModelSizeMb } = answer.stats ?? {}
  if (largest) {
    const [name, most] = [largest.name, megabytes(largest.sizeMb)]
    lines.push(`Largest: ${name}, ${most}; on average ${megabytes(averageModelSizeMb)}`)
  }
  if (found && Object.keys(found).length > 0)
    lines.push('Used where other tools put them:', modelsTable(found))
  return lines.join('\n')
}

function modelsTable(models) {
  const rows = Object.entries(models).flatMap(([name, { formats }]) =>
    Object.entries(formats).map(([format, file]) => [
      name,
      format,
      megabytes(file.sizeMb),
      file.lastModified,
      file.path,
    ]),
  )
  return table(['model', 'format', 'size', 'changed', 'path'], rows, ['model', 'format', 'path'])
}

export const verify = {
  name: 'models verify',
  summary: 'read every byte and compare it with what was published; exit code 1 if one is damaged',
  usage: 'pose4d models verify [name…] [options]',
  options: { ...CACHE_OPTIONS, ...JSON_OPTION, ...QUIET_OPTION },
  examples: [
    ['pose4d models verify', 'everything that is here'],
    ['pose4d models verify vitdet-h', 'one file'],
  ],
  run: ({ values, positionals }, io = {}) =>
    ask(values, io, {
      work: ({ models }, options) =>
        models.verify(positionals.length > 0 ? positionals : undefined, options),
      text: verifyText,
      code: ({ ok }) => (ok ? EXIT.OK : EXIT.MODELS_INCOMPLETE),
    }),
}

/** On what a file is believed. */
const TRUST = {
  published: 'as published',
  recorded: 'as recorded when it came',
  structure: 'opens, and holds what it must',
}

export function verifyText({ files }) {
  if (files.length === 0) return 'No model files are here.'
  const rows = files.map((file) => [
    file.name,
    file.ok ? 'ok' : STATES[file.wrong],
    file.ok ? TRUST[file.trust] : file.problem,
    file.path,
  ])
  const names = ['name', 'state', 'what is known', 'path']
  return table(names, rows, names)
}
