// `pose4d stdio`: the old Python process: {"frames": [...]} on stdin, the array of results on stdout, and
// nothing else there, whatever happens.
import { fromEngine, loadAddon } from './engine.mjs'
import { EXIT, UsageError } from './exit.mjs'
import { Interrupt } from './interrupt.mjs'
import { engineConfig, MODEL_OPTIONS } from './model_options.mjs'
import { exactly } from './models/common.mjs'

export const stdio = {
  name: 'stdio',
  summary:
    'answer {"frames": [...]} on stdin with the array of results on stdout, as the old process did',
  usage: 'pose4d stdio [options] < request.json',
  options: {
    ...MODEL_OPTIONS,
    track: { type: 'boolean', text: 'the frames are a clip: people keep their identity' },
    'no-mesh': { type: 'boolean', text: 'no vertices and faces' },
  },
  examples: [
    ['echo \'{"frames":[{"frameNumber":0,"imagePath":"photo.jpg"}]}\' | pose4d stdio', 'one photo'],
  ],
  run,
}

/** What anybody writes to stdout in the meantime goes to stderr: clients parse all of it as JSON. */
function guardStdout() {
  const { stdout, stderr } = process
  const write = stdout.write
  stdout.write = stderr.write.bind(stderr)
  return (text) => new Promise((resolve) => write.call(stdout, text, () => resolve()))
}

async function run({ values, positionals }, io = {}) {
  const { load = loadAddon, stdin = process.stdin } = io
  exactly('stdio', positionals, [])
  const config = engineConfig(values)
  const print = guardStdout()
  const interrupt = new Interrupt()
  try {
    await load()
    const { answer } = (await import('../service/stdio.cjs')).default
    const { makeEngine } = (await import('../service/engines.cjs')).default
    const legacyNames = values['legacy-names'] ?? false
    const results = await answer(stdin, {
      makeEngine: () => makeEngine(config, { legacyNames }),
      tracking: values.track ?? false,
      mesh: !values['no-mesh'],
      legacyNames,
      signal: interrupt.signal,
    })
    await print(`${JSON.stringify(results)}\n`)
    return EXIT.OK
  } catch (error) {
    if (interrupt.aborted) return interrupt.exitCode
    if (error.code === 'ERR_POSE4D_REQUEST')
      throw new UsageError(`${error.message} (${error.code})`, { command: 'stdio' })
    throw fromEngine(error)
  } finally {
    interrupt.dispose()
  }
}
