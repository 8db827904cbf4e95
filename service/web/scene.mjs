// The 3D view: people on a floor of metres, turned by mouse, touch and keys. Drawn only when something changed.

import { Clip, extent, placed } from './clip.mjs'
import { make, oncePerFrame, reducedMotion, token } from './dom.mjs'
import { Figure } from './figure.mjs'
import { colourOf, isSeen } from './looks.mjs'
import {
  Color,
  DirectionalLight,
  Fog,
  GridHelper,
  HemisphereLight,
  Mesh,
  OrbitControls,
  PCFShadowMap,
  PerspectiveCamera,
  PlaneGeometry,
  Scene,
  ShadowMaterial,
  Vector3,
  WebGLRenderer,
} from './vendor/three.mjs'

const FIELD = 32
const STEP = Math.PI / 24
const WAYS = {
  front: [0.32, 0.2, 1],
  side: [1, 0.14, 0.06],
  top: [0, 1, 0.001],
}
/** Metres between people who nobody knows how far apart they stand. */
const ROW = 1.3

export class View3D {
  #canvas
  #labels
  #renderer
  #scene = new Scene()
  #camera = new PerspectiveCamera(FIELD, 1, 0.01, 1000)
  #controls
  #sun = new DirectionalLight('#ffffff', 2.4)
  #sky = new HemisphereLight('#ffffff', '#8f99aa', 2.1)
  #floor = new Mesh(new PlaneGeometry(1, 1), new ShadowMaterial({ opacity: 0.22 }))
  #grid = null
  #figures = new Map()
  #names = new Map()
  #clip = null
  #placed = false
  #extent = null
  #shown = null
  #way = 'front'
  #turning = false
  #redraw = oncePerFrame(() => this.#draw())

  options = { mesh: true, sides: false, labels: true, hidden: new Set() }
  /** Told when the user takes hold of the view. */
  onHold = () => {}

  /** Throws where the browser has no WebGL. */
  constructor(holder, labels) {
    const canvas = holder.querySelector('canvas')
    this.#canvas = canvas
    this.#labels = labels
    this.#renderer = new WebGLRenderer({ canvas, antialias: true, powerPreference: 'low-power' })
    this.#renderer.shadowMap.enabled = true
    this.#renderer.shadowMap.type = PCFShadowMap
    this.#sun.castShadow = true
    this.#sun.shadow.mapSize.set(1024, 1024)
    this.#sun.shadow.radius = 3
    this.#floor.rotation.x = -Math.PI / 2
    this.#floor.receiveShadow = true
    this.#scene.add(this.#sky, this.#sun, this.#sun.target, this.#floor)
    this.#controls = new OrbitControls(this.#camera, canvas)
    this.#controls.enableDamping = !reducedMotion()
    this.#controls.dampingFactor = 0.12
    this.#controls.autoRotateSpeed = 1.6
    this.#controls.addEventListener('change', this.#redraw)
    this.#controls.addEventListener('start', () => this.#held())
    // Only what works is a stop on the keyboard's way.
    holder.tabIndex = 0
    holder.addEventListener('keydown', (event) => this.#key(event))
    new ResizeObserver(() => this.#resize()).observe(holder)
    this.recolour()
    this.#resize()
  }

  get turning() {
    return this.#turning
  }

  set turning(on) {
    this.#turning = on
    this.#controls.autoRotate = on
    if (!on) this.#settle()
    this.#redraw()
  }

  /** Ends what is left of a swing: a view that was asked for stands still. */
  #settle() {
    const { enableDamping } = this.#controls
    this.#controls.enableDamping = false
    this.#controls.update()
    this.#controls.enableDamping = enableDamping
  }

  #held() {
    this.#way = null
    this.onHold()
  }

  /** After a change of light and dark. */
  recolour() {
    const back = new Color(token('--scene'))
    this.#scene.background = back
    if (this.#scene.fog) this.#scene.fog.color = back
    if (this.#extent) this.#lay()
    this.#redraw()
  }

  load(clip) {
    for (const id of [...this.#figures.keys()]) this.#drop(id)
    this.#clip = clip
    this.#shown = null
    this.#placed = clip ? placed(clip) : false
    this.#extent = null
    if (clip && clip.kind !== 'photos') this.#reckon(clip)
    this.#redraw()
  }

  #drop(id) {
    this.#figures.get(id).dispose()
    this.#figures.delete(id)
    this.#names.get(id)?.remove()
    this.#names.delete(id)
  }

  #reckon(clip) {
    this.#extent = extent(clip, (person) => this.#offset(person, clip))
    if (!this.#extent) return
    this.#lay()
    this.view(this.#way ?? 'front')
  }

  /** Where someone stands; null where nobody knows. */
  #offset(person, clip) {
    if (this.#placed) return person.camera?.translation ?? null
    const people = clip.tracked
      ? clip.tracks.map(({ id }) => id)
      : (this.#shown?.persons.map(({ trackId }) => trackId) ?? [])
    const place = Math.max(0, people.indexOf(person.trackId))
    return [ROW * (place - (people.length - 1) / 2), 0, 0]
  }

  /** Floor, grid, light and fog for the scene's size. */
  #lay() {
    const { least, most, floor } = this.#extent
    const [x, , z] = [0, 1, 2].map((axis) => (least[axis] + most[axis]) / 2)
    const wide = Math.max(most[0] - least[0], most[2] - least[2], 2)
    const side = Math.min(60, 2 * Math.ceil(wide * 1.5 + 2))
    this.#grid?.dispose()
    this.#grid?.removeFromParent()
    const lines = [token('--grid-strong'), token('--grid')].map((c) => new Color(c))
    this.#grid = new GridHelper(side, side, ...lines)
    this.#grid.position.set(x, floor - 0.012, z)
    this.#floor.scale.set(side * 2, side * 2, 1)
    this.#floor.position.set(x, floor - 0.014, z)
    this.#scene.add(this.#grid)
    const reach = wide / 2 + 2
    const { camera } = this.#sun.shadow
    Object.assign(camera, { left: -reach, right: reach, top: reach, bottom: -reach })
    Object.assign(camera, { near: 0.1, far: 6 * reach })
    camera.updateProjectionMatrix()
    this.#sun.target.position.set(x, floor, z)
    this.#sun.position.set(x + reach * 0.6, floor + reach * 2.2, z + reach * 0.9)
    this.#scene.fog = new Fog(this.#scene.background, 10, 100)
    this.#fade()
  }

  /** With room for names above the heads, and for the tools below the feet. */
  get #corners() {
    const { least, most } = this.#extent
    const tall = most[1] - least[1]
    return {
      least: [least[0], least[1] - 0.12 * tall, least[2]],
      most: [most[0], most[1] + 0.38, most[2]],
    }
  }

  #centre() {
    const { least, most } = this.#corners
    return new Vector3(...[0, 1, 2].map((axis) => (least[axis] + most[axis]) / 2))
  }

  #radius() {
    const { least, most } = this.#corners
    return Math.max(0.9, Math.hypot(...least.map((low, axis) => most[axis] - low)) / 2)
  }

  /** The far end of the grid fades away, whatever the distance. */
  #fade() {
    if (!this.#scene.fog || !this.#extent) return
    const away = this.#camera.position.distanceTo(this.#controls.target)
    this.#scene.fog.near = away + this.#radius() * 1.2
    this.#scene.fog.far = away + this.#radius() * 5 + 6
    this.#camera.near = Math.max(0.02, away / 200)
    this.#camera.far = away + 200
    this.#camera.updateProjectionMatrix()
  }

  get views() {
    const camera = this.#placed && this.#clip.frames.some(({ persons }) => persons.some(focal))
    return camera ? ['front', 'side', 'top', 'camera'] : ['front', 'side', 'top']
  }

  /** `front`, `side`, `top`, or `camera`: where the picture was taken from. */
  view(way) {
    this.#way = way
    if (!this.#extent) return
    const target = this.#centre()
    const pane = this.#camera.aspect
    if (way === 'camera') {
      const { width, height } = this.#clip
      const person = this.#shown?.persons.find(focal) ?? firstFocal(this.#clip)
      const tall = Math.max(height, width / pane) / (2 * person.camera.focalLength)
      this.#camera.fov = (2 * Math.atan(tall) * 180) / Math.PI
      this.#camera.position.set(0, 0, 0)
      target.set(0, 0, Math.min(target.z, -0.5))
    } else {
      this.#camera.fov = FIELD
      const half = (FIELD * Math.PI) / 360
      const narrow = Math.min(half, Math.atan(Math.tan(half) * pane))
      const away = (this.#radius() / Math.sin(narrow)) * 0.86
      const direction = new Vector3(...(WAYS[way] ?? WAYS.front)).normalize()
      this.#camera.position.copy(target).addScaledVector(direction, away)
    }
    this.#controls.target.copy(target)
    this.#settle()
    this.#fade()
    this.#redraw()
  }

  show(frame) {
    const fresh = this.#shown !== frame
    this.#shown = frame
    const clip = this.#clip
    if (clip?.kind === 'photos' && frame && fresh)
      this.#reckon(new Clip({ ...clip, kind: 'photos' }, [frame]))
    const present = new Set()
    for (const person of frame?.persons ?? []) {
      const offset = this.#offset(person, clip)
      if (!person.joints || !offset || this.options.hidden.has(person.trackId)) continue
      present.add(person.trackId)
      if (!this.#figures.has(person.trackId)) this.#add(person.trackId)
      this.#figures.get(person.trackId).show(person, offset, this.options)
      this.#label(person)
    }
    for (const [id, figure] of this.#figures) {
      if (present.has(id)) continue
      figure.hide()
      this.#names.get(id).hidden = true
    }
    this.#redraw()
  }

  #add(id) {
    const figure = new Figure(id, this.#clip.meshFaces)
    this.#figures.set(id, figure)
    this.#scene.add(figure.group)
    const name = make('span', { class: 'name3d' })
    name.style.setProperty('--person', colourOf(id))
    this.#names.set(id, name)
    this.#labels.append(name)
  }

  #label({ trackId, source }) {
    const name = this.#names.get(trackId)
    name.textContent = isSeen(source) ? `${trackId}` : `${trackId} ${source}`
    name.hidden = false
  }

  #draw() {
    const moving = this.#controls.update()
    this.#renderer.render(this.#scene, this.#camera)
    const { clientWidth, clientHeight } = this.#canvas
    const at = new Vector3()
    for (const [id, figure] of this.#figures) {
      if (!figure.group.visible) continue
      at.copy(figure.top).project(this.#camera)
      const style = this.#names.get(id).style
      const behind = at.z > 1
      style.visibility = behind || !this.options.labels ? 'hidden' : 'visible'
      const [x, y] = [((at.x + 1) / 2) * clientWidth, ((1 - at.y) / 2) * clientHeight]
      style.transform = `translate(-50%, -100%) translate(${x.toFixed(1)}px, ${y.toFixed(1)}px)`
    }
    if (moving || this.#turning) this.#redraw()
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#canvas.parentElement
    if (!width || !height) return
    this.#renderer.setPixelRatio(Math.min(2, devicePixelRatio || 1))
    this.#renderer.setSize(width, height, false)
    this.#camera.aspect = width / height
    this.#camera.updateProjectionMatrix()
    if (this.#way) this.view(this.#way)
    // At once: a canvas that changed its size is blank until it is drawn.
    this.#draw()
  }

  #key(event) {
    const { key, shiftKey, ctrlKey, metaKey, altKey } = event
    if (ctrlKey || metaKey || altKey) return
    const controls = this.#controls
    const pan = (x, y) => controls.pan(x * 40, y * 40)
    const actions = {
      ArrowLeft: () => (shiftKey ? pan(1, 0) : controls.rotateLeft(STEP)),
      ArrowRight: () => (shiftKey ? pan(-1, 0) : controls.rotateLeft(-STEP)),
      ArrowUp: () => (shiftKey ? pan(0, 1) : controls.rotateUp(STEP)),
      ArrowDown: () => (shiftKey ? pan(0, -1) : controls.rotateUp(-STEP)),
      '+': () => controls.dollyIn(0.9),
      '=': () => controls.dollyIn(0.9),
      '-': () => controls.dollyOut(0.9),
      Home: () => this.view('front'),
    }
    if (!actions[key]) return
    event.preventDefault()
    this.#held()
    actions[key]()
    this.#redraw()
  }
}

const focal = ({ camera, joints }) => Boolean(joints && camera?.focalLength)
const firstFocal = (clip) => clip.frames.flatMap(({ persons }) => persons).find(focal)
