// `pose4d models list`, `status`, `info` and `verify`: what is there, where, and whether it is whole.

import { EXIT } from '../exit.mjs'
import { table } from '../summary.mjs'
import { count, size } from '../units.mjs'
import { ask, CACHE_OPTIONS, exactly, JSON_OPTION, QUIET_OPTION } from './common.mjs'

/** `verified` → what people read. */
const STATES = {
  verified: 'here, verified',
  unverified: 'here',
  faulty: 'damaged',
  missing: 'not here',
}

const stateOf = ({ state, source }) =>
  state === 'missing' && source === 'user' ? 'yours to supply' : STATES[state]

const expected = ({ expectedBytes, exactBytes }) =>
  expectedBytes === undefined ? '–' : `${exactBytes ? '' : '≈ '}${size(expectedBytes)}`

const sizeOf = (model) => (model.bytes === null ? expected(model) : size(model.bytes))

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
    model.origin ?? '–',
    model.licence,
  ])
  const here = models.filter((model) => model.available)
  const total = here.reduce((sum, model) => sum + model.bytes, 0)
  const damaged = models.filter((model) => model.state === 'faulty')
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
    ...damaged.map((model) => `Damaged: ${model.name}: ${model.problem}`),
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
  const { licence, licenceNote, source } = model
  const from = {
    package: `the npm package ${model.package}`,
    archive: `unpacked from ${model.archive}`,
    user: 'you: it is never fetched',
    download: model.urls.join('\n          '),
  }
  return [
    `${model.name}  ${stateOf(model)}`,
    facts([
      ['for', model.purpose],
      ['family', model.family],
      ['file', model.path ?? model.file],
      ['where', model.origin],
      [
        'size',
        model.bytes === null ? expected(model) : `${size(model.bytes)} (${model.bytes} bytes)`,
      ],
      ['problem', model.problem],
      ['SHA-256', model.sha256],
      ['fast', model.fast && `${model.fast.path} (${model.fast.dtype}, ${size(model.fast.bytes)})`],
      ['licence', licenceNote ? `${licence}: ${licenceNote}` : licence],
      ['from', from[source]],
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

const megabytes = (value) => size(value * 1e6)

export function infoText(answer) {
  const { cacheDir, totalModels, totalFiles, totalSizeMb, formats, cacheHealth } = answer
  const lines = [
    `${cacheDir}: ${count(totalModels, 'model')}, ${count(totalFiles, 'file')}, ${megabytes(totalSizeMb)}`,
    `Health: ${HEALTH[cacheHealth] ?? cacheHealth}`,
  ]
  const kinds = Object.entries(formats).map(([format, files]) => [format, String(files)])
  if (kinds.length > 0) lines.push(table(['format', 'files'], kinds, ['format']))
  if (answer.largestModel)
    lines.push(`Largest: ${answer.largestModel.name}, ${megabytes(answer.largestModel.sizeMb)}`)
  if (answer.models) lines.push(modelsTable(answer.models))
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
    file.state === 'verified' ? 'ok' : STATES[file.state],
    file.state === 'verified' ? TRUST[file.trust] : (file.problem ?? ''),
    file.path ?? '–',
  ])
  const names = ['name', 'state', 'what is known', 'path']
  return table(names, rows, names)
}
