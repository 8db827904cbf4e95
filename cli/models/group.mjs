// `pose4d models …`: the commands about model files.

import { clear, download, export_, import_, optimize } from './change.mjs'
import { convert, inspect } from './inspect.mjs'
import { info, list, status, verify } from './look.mjs'

export const models = {
  name: 'models',
  summary: 'list, fetch, check, convert and clean up model files',
  usage: 'pose4d models <command> [options]',
  commands: [
    list,
    status,
    info,
    inspect,
    download,
    verify,
    optimize,
    clear,
    export_,
    import_,
    convert,
  ],
  notes: [
    '`pose4d models <command> --help` shows the options of one; all take --json.',
    'Where files are looked for, licences, machines without a network: docs/models.md.',
  ],
}
