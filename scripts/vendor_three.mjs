#!/usr/bin/env node
// What the web page needs of three.js as one module, service/web/vendor/three.mjs, made from the devDependency.
//   node scripts/vendor_three.mjs [--check]    --check: is the file what would be made? writes nothing
// Why: three is 24 MB installed and 2.1 MB in the browser as it comes; this is a fifth of the latter and nothing
// to install. The result depends on the versions of three and esbuild-wasm alone, so that anybody can make it again.

import { readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import * as esbuild from 'esbuild-wasm'
import runtime from '../lib/runtime.cjs'

const FROM_CORE = [
  'BufferAttribute',
  'BufferGeometry',
  'Color',
  'CylinderGeometry',
  'DirectionalLight',
  'DoubleSide',
  'Fog',
  'GridHelper',
  'Group',
  'HemisphereLight',
  'InstancedMesh',
  'Matrix4',
  'Mesh',
  'MeshStandardMaterial',
  'PCFShadowMap',
  'PerspectiveCamera',
  'PlaneGeometry',
  'Quaternion',
  'Scene',
  'ShadowMaterial',
  'SphereGeometry',
  'Vector3',
  'WebGLRenderer',
]

const TARGET = path.join(runtime.ROOT, 'service', 'web', 'vendor', 'three.mjs')

async function release() {
  const file = path.join(runtime.ROOT, 'node_modules', 'three', 'package.json')
  return JSON.parse(await readFile(file, 'utf8'))
}

/** The module's text. */
export async function bundle() {
  const { version, license } = await release()
  const { outputFiles } = await esbuild.build({
    stdin: {
      contents: `export { ${FROM_CORE.join(', ')} } from 'three'
export { OrbitControls } from 'three/examples/jsm/controls/OrbitControls.js'`,
      resolveDir: runtime.ROOT,
    },
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    charset: 'utf8',
    legalComments: 'none',
    write: false,
    banner: {
      js: `/*! three.js ${version}, ${license}, LICENSE.three beside it; made by scripts/vendor_three.mjs */`,
    },
  })
  await esbuild.stop()
  return outputFiles[0].text
}

async function main() {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const text = await bundle()
  if (!values.check) {
    await writeFile(TARGET, text)
    process.stdout.write(`${TARGET}: ${text.length} bytes\n`)
  } else if (text !== (await readFile(TARGET, 'utf8'))) {
    process.stderr.write(
      'service/web/vendor/three.mjs is not what the installed three gives: node scripts/vendor_three.mjs\n',
    )
    process.exitCode = 1
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main()
