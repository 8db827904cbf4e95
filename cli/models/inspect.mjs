// `pose4d models inspect` and `convert`: what is in a file of weights, and the same in another format.

import { choice } from '../args.mjs'
import { parameters, tensorTree } from '../tensors.mjs'
import { count, grouped, size } from '../units.mjs'
import { ask, CACHE_OPTIONS, exactly, JSON_OPTION, QUIET_OPTION } from './common.mjs'

export const FORMATS = ['pt', 'pkl', 'h5', 'safetensors']
export const DTYPES = ['fp32', 'fp16', 'bf16', 'fp64']

const OPAQUE_SHOWN = 10
const VALUES_SHOWN = 20

export const inspect = {
  name: 'models inspect',
  summary: 'show the tensors in a file, whatever its format; nothing in it is executed',
  usage: 'pose4d models inspect <file> [options]',
  options: {
    'no-hashes': { type: 'boolean', text: 'leave out the SHA-256 of each tensor (JSON)' },
    ...JSON_OPTION,
    ...QUIET_OPTION,
  },
  examples: [
    ['pose4d models inspect epoch=35-step=1000000.ckpt', 'a tree of names, shapes and types'],
    ['pose4d models inspect model_final.pkl --json', 'names, shapes, types, hashes for a script'],
  ],
  run: ({ values, positionals }, io = {}) => {
    const [file] = exactly('models inspect', positionals, ['file'])
    return ask(values, io, {
      work: ({ models }, { signal, onProgress }) =>
        // The tree shows no hashes: then only names and shapes are read.
        models.inspect(file, {
          hashes: Boolean(values.json) && !values['no-hashes'],
          signal,
          onProgress,
        }),
      text: inspectionText,
    })
  },
}

export function inspectionText({ path, format, bytes, root, tensors, others, values, opaque }) {
  const lines = [`${path}  ${format}  ${size(bytes)}`]
  const section = (title, list) => {
    if (list.length === 0) return
    const total = list.reduce((sum, tensor) => sum + tensor.bytes, 0)
    const numbers = grouped(parameters(list))
    lines.push(`${title}${count(list.length, 'tensor')}, ${numbers} numbers, ${size(total)}`)
    lines.push(...tensorTree(list))
  }
  section(root ? `Weights under \`${root}\`: ` : 'Weights: ', tensors)
  section('Beside them: ', others)
  const plain = Object.entries(values)
  if (plain.length > 0) {
    lines.push(`Values: ${plain.length}`)
    lines.push(...some(plain, VALUES_SHOWN, ([name, value]) => `${name} = ${short(value)}`))
  }
  if (opaque.length > 0) {
    lines.push(`Objects of other programs, not opened: ${opaque.length}`)
    lines.push(...some(opaque, OPAQUE_SHOWN, (object) => `${object.path || '.'}  ${object.class}`))
  }
  return lines.join('\n')
}

function some(list, most, line) {
  const lines = list.slice(0, most).map((entry) => `  ${line(entry)}`)
  if (list.length > most) lines.push(`  … and ${list.length - most} more (--json shows all)`)
  return lines
}

function short(value) {
  const text = JSON.stringify(value)
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}

export const convert = {
  name: 'models convert',
  summary: 'write the weights of a file in another format or precision',
  usage: 'pose4d models convert <in> <out> [options]',
  options: {
    format: {
      type: 'string',
      value: 'name',
      text: `${FORMATS.join(', ')} (default: by the name of <out>)`,
    },
    dtype: {
      type: 'string',
      value: 'name',
      text: `${DTYPES.join(', ')} for real numbers (default: as they are)`,
    },
    ...CACHE_OPTIONS,
    ...JSON_OPTION,
    ...QUIET_OPTION,
  },
  examples: [
    [
      'pose4d models convert model_final_f05665.pkl vitdet.safetensors --dtype bf16',
      'half the size',
    ],
    ['pose4d models convert weights.h5 weights.pt', 'for torch.load'],
  ],
  run: ({ values, positionals }, io = {}) => {
    const [input, output] = exactly('models convert', positionals, ['in', 'out'])
    const format = choice(values, 'format', FORMATS)
    const dtype = choice(values, 'dtype', DTYPES)
    return ask(values, io, {
      work: ({ models }, options) => models.convert(input, output, { ...options, format, dtype }),
      text: ({ path, bytes }) => `${path}  ${size(bytes)}`,
    })
  },
}
