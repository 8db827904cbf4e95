#!/usr/bin/env node
// A .glb file in three.js, in a headless Chromium: moments of its animation side by side as one picture.
//   node scripts/campaigns/view_glb.mjs run.glb view.png [--moments 4] [--from front|side|camera] [--points] [--chromium chromium]
// `--points`: the vertices alone, where three.js skins them (a body made up for tests has no sensible triangles).
// The grid lies below the people (y is up); the red, green and blue lines are x, y and z. Nothing is fetched.

import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import runtime from '../../lib/runtime.cjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    moments: { type: 'string', default: '4' },
    from: { type: 'string', default: 'front' },
    points: { type: 'boolean', default: false },
    chromium: { type: 'string', default: 'chromium' },
  },
})
const [model, picture] = positionals
if (!model || !picture) throw new Error('name a .glb file and the picture to write')

const THREE = path.join(runtime.ROOT, 'node_modules', 'three')
const SIDE = 480
const moments = Number(values.moments)

const page = `<!doctype html><meta charset="utf-8"><style>body{margin:0;background:#fff}canvas{display:block}</style>
<script type="importmap">{"imports":{"three":"/three/build/three.module.js","three/":"/three/"}}</script>
<script type="module">
import * as THREE from 'three'
import { GLTFLoader } from 'three/examples/jsm/loaders/GLTFLoader.js'
const moments = ${moments}, side = ${SIDE}, from = ${JSON.stringify(values.from)}, points = ${values.points}
const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true })
renderer.setSize(side * moments, side)
renderer.setScissorTest(true)
document.body.append(renderer.domElement)
const { scene: people, animations, cameras } = await new GLTFLoader().loadAsync('/model.glb')
const scene = new THREE.Scene()
scene.background = new THREE.Color(0xeef1f5)
scene.add(people, new THREE.HemisphereLight(0xffffff, 0x8890a0, 2.2))
const sun = new THREE.DirectionalLight(0xffffff, 2)
sun.position.set(1, 3, 4)
scene.add(sun)
const mixer = new THREE.AnimationMixer(people)
const clip = animations[0]
if (clip) mixer.clipAction(clip).play()
people.traverse((node) => { node.frustumCulled = false })
const bones = []
people.traverse((node) => { if (node.isSkinnedMesh) bones.push(...node.skeleton.bones) })
const times = Array.from({ length: moments }, (_, i) => (clip ? (clip.duration * (i + 0.5)) / moments : 0))
const box = new THREE.Box3()
for (const time of times) {
  mixer.setTime(time)
  scene.updateMatrixWorld(true)
  for (const bone of bones)
    if (bone.matrixWorld.determinant() > 1e-6) box.expandByPoint(new THREE.Vector3().setFromMatrixPosition(bone.matrixWorld))
}
const middle = box.getCenter(new THREE.Vector3())
const radius = box.getSize(new THREE.Vector3()).length() / 2 + 0.2
const grid = new THREE.GridHelper(Math.ceil(radius * 4), Math.ceil(radius * 4), 0x9aa4b0, 0xc8ced6)
grid.position.set(middle.x, box.min.y - 0.1, middle.z)
const axes = new THREE.AxesHelper(0.5)
axes.position.set(box.min.x - 0.3, box.min.y - 0.09, middle.z)
scene.add(grid, axes)
const own = new THREE.PerspectiveCamera(35, 1, 0.01, 1000)
const away = radius / Math.sin((17.5 * Math.PI) / 180)
const ways = { front: [0.0, 0.12, 1], side: [1, 0.15, 0.25] }
const way = new THREE.Vector3(...(ways[from] ?? ways.front)).normalize()
own.position.copy(middle).addScaledVector(way, away)
own.lookAt(middle)
const camera = from === 'camera' && cameras[0] ? cameras[0] : own
const clouds = []
if (points) people.traverse((mesh) => {
  if (!mesh.isSkinnedMesh) return
  const places = new Float32Array(mesh.geometry.attributes.position.count * 3)
  const cloud = new THREE.Points(new THREE.BufferGeometry(), new THREE.PointsMaterial({ color: mesh.material.color, size: radius / 90 }))
  cloud.geometry.setAttribute('position', new THREE.BufferAttribute(places, 3))
  cloud.frustumCulled = false
  clouds.push({ mesh, places, cloud })
})
for (const { mesh, cloud } of clouds) { mesh.visible = false; scene.add(cloud) }
const at3 = new THREE.Vector3()
function skinned() {
  scene.updateMatrixWorld(true)
  for (const { mesh, places, cloud } of clouds) {
    for (let i = 0; i < places.length / 3; i++) mesh.getVertexPosition(i, at3).applyMatrix4(mesh.matrixWorld).toArray(places, 3 * i)
    cloud.geometry.attributes.position.needsUpdate = true
  }
}
times.forEach((time, at) => {
  mixer.setTime(time)
  skinned()
  renderer.setViewport(at * side, 0, side, side)
  renderer.setScissor(at * side, 0, side, side)
  renderer.render(scene, camera)
})
document.title = 'drawn'
</script>`

const TYPES = { '.js': 'text/javascript', '.glb': 'model/gltf-binary', '': 'text/html' }
const server = createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost').pathname
  const file =
    url === '/model.glb' ? model : url.startsWith('/three/') ? path.join(THREE, url.slice(7)) : null
  if (url !== '/' && !(file && existsSync(file) && statSync(file).isFile()))
    return response.writeHead(404).end()
  const type = TYPES[path.extname(file ?? '')] ?? 'application/octet-stream'
  response.writeHead(200, { 'content-type': type }).end(file ? readFileSync(file) : page)
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

const profile = mkdtempSync(path.join(tmpdir(), 'pose4d-view-'))
const args = [
  '--headless=new',
  '--no-sandbox',
  '--hide-scrollbars',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
  `--user-data-dir=${profile}`,
  `--window-size=${SIDE * moments},${SIDE + 100}`,
  '--virtual-time-budget=20000',
  `--screenshot=${path.resolve(picture)}`,
  `http://127.0.0.1:${server.address().port}/`,
]
const browser = spawn(values.chromium, args, { stdio: ['ignore', 'ignore', 'pipe'] })
let said = ''
browser.stderr.on('data', (text) => {
  said += text
})
const status = await new Promise((resolve, reject) => {
  browser.once('error', reject)
  browser.once('close', resolve)
})
server.close()
rmSync(profile, { recursive: true, force: true })
if (status !== 0 || !existsSync(picture)) throw new Error(`chromium failed (${status}): ${said}`)
process.stdout.write(`${picture}\n`)
