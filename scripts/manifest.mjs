#!/usr/bin/env node
// Writes the tables of docs/models.md from src/cache/manifest.json.
//   node scripts/manifest.mjs            rewrite them
//   node scripts/manifest.mjs --check    fail when they are stale

import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { size } from '../cli/units.mjs'
import runtime from '../lib/runtime.cjs'

const { ROOT } = runtime
const DOCUMENT = path.join(ROOT, 'docs', 'models.md')
const MANIFEST = path.join(ROOT, 'src', 'cache', 'manifest.json')

const row = (cells) => `| ${cells.join(' | ')} |`
const table = (header, rows) => [row(header), row(header.map(() => '---')), ...rows].join('\n')

const SOURCES = {
  package: ({ package: name }) => `npm: ${name}`,
  archive: ({ archive }) => `out of \`${archive}\``,
  user: () => 'yours to supply',
  download: ({ urls }) => [...new Set(urls.map((url) => new URL(url).host))].join(', '),
}

const held = ({ sha256, prefix }) =>
  sha256 ? 'SHA-256' : prefix ? `${prefix.algorithm} begins ${prefix.hex}` : 'structure'

function files({ entries }) {
  const rows = entries.map((entry) => {
    const known = entry.bytes ? `${entry.exact ? '' : '≈ '}${size(entry.bytes)}` : '–'
    const cells = [`\`${entry.id}\``, entry.purpose, known, held(entry), entry.licence]
    return row([...cells, SOURCES[entry.source](entry)])
  })
  return table(['name', 'what for', 'size', 'held to', 'licence', 'from'], rows)
}

function sets({ sets: all }) {
  const rows = Object.entries(all).map(([name, ids]) =>
    row([`\`${name}\``, ids.map((id) => `\`${id}\``).join(', ')]),
  )
  return table(['set', 'files'], rows)
}

/** The document with its generated parts made anew. */
export function withTables(text, manifest) {
  const parts = { files: files(manifest), sets: sets(manifest) }
  return text.replace(
    /(<!-- (\w+): generated[^>]*-->\n)[\s\S]*?(<!-- end -->)/g,
    (_, open, name, close) => `${open}${parts[name]}\n${close}`,
  )
}

export const readTables = async () => ({
  text: await readFile(DOCUMENT, 'utf8'),
  manifest: JSON.parse(await readFile(MANIFEST, 'utf8')),
})

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const { text, manifest } = await readTables()
  const fresh = withTables(text, manifest)
  if (!values.check) await writeFile(DOCUMENT, fresh)
  else if (fresh !== text) {
    process.stderr.write('docs/models.md is stale: run node scripts/manifest.mjs\n')
    process.exitCode = 1
  }
}
