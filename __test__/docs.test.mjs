// The documentation keeps up with the code: every error code has its row, every link its file.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { readTables, withTables } from '../scripts/manifest.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (path) => readFileSync(join(root, path), 'utf8')
const codesIn = (text) => new Set(text.match(/ERR_POSE4D_[A-Z0-9_]*[A-Z0-9]/g))

test('docs/errors.md has a row for every code in the sources, and for no other', () => {
  const files = [
    'src/pipeline/error.rs',
    'src/cache/error.rs',
    'lib/native.cjs',
    'lib/video/errors.cjs',
    'lib/export/faults.cjs',
    'service/errors.cjs',
  ]
  const sources = files.map(read).join('\n')
  const rows = read('docs/errors.md')
    .match(/^\| `ERR_POSE4D_\w+`/gm)
    .join('\n')
  const known = codesIn(sources)
  assert.ok(known.size > 10)
  assert.deepEqual([...codesIn(rows)].sort(), [...known].sort())
})

test('the tables of docs/models.md are those of the manifest', async () => {
  const { text, manifest } = await readTables()
  assert.equal(withTables(text, manifest), text, 'run node scripts/manifest.mjs')
  for (const { id } of manifest.entries) assert.ok(text.includes(`| \`${id}\` |`), id)
})

test('links in the documents lead to files', () => {
  const documents = [
    'README.md',
    'examples/README.md',
    ...readdirSync(join(root, 'docs'))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `docs/${name}`),
  ]
  for (const document of documents) {
    for (const [, target] of read(document).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)) {
      assert.ok(existsSync(join(root, dirname(document), target)), `${document} links to ${target}`)
    }
  }
})

test('commands in the README are scripts of package.json or files', () => {
  const { scripts, bin } = JSON.parse(read('package.json'))
  const text = read('README.md')
  for (const [, script] of text.matchAll(/npm run ([\w:]+)/g))
    assert.ok(scripts[script], `npm run ${script}`)
  if (/npm test\b/.test(text)) assert.ok(scripts.test)
  for (const [, file] of text.matchAll(/\bnode ([\w/.-]+\.mjs)/g))
    assert.ok(existsSync(join(root, file)), file)
  assert.equal(bin.pose4d, 'bin/pose4d.mjs')
})
