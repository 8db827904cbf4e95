// One person in the 3D view: a figure of limbs on the measured joints, or the mesh where there is one.

import { skeletonOf } from './bones.mjs'
import { worldOf } from './clip.mjs'
import { colourOf, isSeen, SIDE } from './looks.mjs'
import {
  BufferAttribute,
  BufferGeometry,
  Color,
  CylinderGeometry,
  DoubleSide,
  Group,
  InstancedMesh,
  Matrix4,
  Mesh,
  MeshStandardMaterial,
  Quaternion,
  SphereGeometry,
  Vector3,
} from './vendor/three.mjs'

const UP = new Vector3(0, 1, 0)
/** Of the ball for a head and of the neck: for the eye, nothing measures them. */
const HEAD = 0.098
const NECK = 0.045
const GHOST = 0.38

const cylinder = new CylinderGeometry(1, 1, 1, 20, 1, true)
const sphere = new SphereGeometry(1, 24, 16)

const place = new Matrix4()
const turn = new Quaternion()
const from = new Vector3()
const to = new Vector3()
const middle = new Vector3()
const along = new Vector3()
const size = new Vector3()

const material = (colour) =>
  new MeshStandardMaterial({ color: colour, roughness: 0.62, metalness: 0 })

/** Instances of one shape, as many as are asked for. */
class Pieces {
  #mesh
  #count = 0

  constructor(group, geometry, look, most) {
    this.#mesh = new InstancedMesh(geometry, look, most)
    this.#mesh.castShadow = true
    this.#mesh.frustumCulled = false
    group.add(this.#mesh)
  }

  begin() {
    this.#count = 0
  }

  add(matrix, colour) {
    if (this.#count === this.#mesh.instanceMatrix.count) return
    this.#mesh.setMatrixAt(this.#count, matrix)
    this.#mesh.setColorAt(this.#count, colour)
    this.#count += 1
  }

  end() {
    this.#mesh.count = this.#count
    this.#mesh.instanceMatrix.needsUpdate = true
    if (this.#mesh.instanceColor) this.#mesh.instanceColor.needsUpdate = true
  }

  dispose() {
    this.#mesh.dispose()
  }
}

const MOST_PIECES = 160

export class Figure {
  group = new Group()
  /** Above the head, for a name. */
  top = new Vector3()

  #look
  #colour
  #white = new Color('#ffffff')
  #sides
  #limbs
  #balls
  #body = null
  #faces

  constructor(trackId, faces) {
    this.#faces = faces
    // Instances bring their own colours.
    this.#look = material('#ffffff')
    this.#colour = new Color(colourOf(trackId))
    this.#sides = Object.fromEntries(
      Object.entries(SIDE).map(([side, colour]) => [side, new Color(colour)]),
    )
    this.#limbs = new Pieces(this.group, cylinder, this.#look, MOST_PIECES)
    this.#balls = new Pieces(this.group, sphere, this.#look, MOST_PIECES)
  }

  /** `offset`: metres, added to the joints. `options`: `{ mesh, sides }`. */
  show(person, offset, options) {
    const meshed = options.mesh && person.vertices && this.#faces
    this.#limbs.begin()
    this.#balls.begin()
    this.#ghost(this.#look, !isSeen(person.source))
    if (meshed) this.#surface(person, offset)
    else this.#sticks(person, offset, options.sides)
    if (this.#body) this.#body.visible = Boolean(meshed)
    this.#limbs.end()
    this.#balls.end()
    this.#crown(person, offset)
    this.group.visible = true
  }

  #ghost(look, ghost) {
    if (look.transparent === ghost) return
    look.transparent = ghost
    look.opacity = ghost ? GHOST : 1
    look.needsUpdate = true
  }

  #limb(a, b, radius, colour) {
    along.subVectors(b, a)
    const length = along.length()
    if (!(length > 1e-5)) return
    turn.setFromUnitVectors(UP, along.divideScalar(length))
    middle.addVectors(a, b).multiplyScalar(0.5)
    this.#limbs.add(place.compose(middle, turn, size.set(radius, length, radius)), colour)
  }

  #ball(at, radius, colour) {
    turn.identity()
    this.#balls.add(place.compose(at, turn, size.setScalar(radius)), colour)
  }

  #sticks(person, offset, sides) {
    const { bones, joints, head, neck, hips } = skeletonOf(person.names)
    const colour = (side) => (sides ? this.#sides[side] : this.#colour)
    const at = (index, vector) => vector.fromArray(worldOf(person, index, offset))
    const known = (vector) => Number.isFinite(vector.x + vector.y + vector.z)
    for (const bone of bones) {
      if (bone.face) continue
      at(bone.from, from)
      at(bone.to, to)
      if (known(from) && known(to)) this.#limb(from, to, bone.radius, colour(bone.side))
    }
    for (const { index, radius, side } of joints) {
      at(index, from)
      if (radius > 0.01 && known(from)) this.#ball(from, radius * 1.04, colour(side))
    }
    if (!head) return
    const centre = this.#middle(person, head, offset, to)
    if (!known(centre)) return
    this.#ball(centre, HEAD, colour('middle'))
    // Sets without a neck or a spine: from the hips' middle to the shoulders', and on to the head.
    if (neck && hips?.length === 2 && head.length === 2) {
      const shoulders = this.#middle(person, neck, offset, from)
      this.#limb(shoulders, centre, NECK, colour('middle'))
      const pelvis = this.#middle(person, hips, offset, to)
      this.#limb(pelvis, shoulders, 0.07, colour('middle'))
    }
    const nose = person.names.indexOf('nose')
    if (nose >= 0 && known(at(nose, from))) this.#ball(from, 0.024, this.#white)
  }

  #middle(person, indices, offset, vector) {
    vector.set(0, 0, 0)
    for (const index of indices) {
      const [x, y, z] = worldOf(person, index, offset)
      vector.set(vector.x + x, vector.y + y, vector.z + z)
    }
    return vector.divideScalar(indices.length)
  }

  #surface({ vertices, source }, offset) {
    if (!this.#body) {
      const geometry = new BufferGeometry()
      const places = new BufferAttribute(new Float32Array(vertices.length), 3)
      geometry.setAttribute('position', places)
      geometry.setIndex(new BufferAttribute(this.#faces, 1))
      const look = material(this.#colour)
      look.side = DoubleSide
      this.#body = new Mesh(geometry, look)
      this.#body.castShadow = true
      this.#body.frustumCulled = false
      this.group.add(this.#body)
    }
    const { geometry, material: look } = this.#body
    const places = geometry.attributes.position
    for (let i = 0; i < vertices.length; i += 3) {
      places.array[i] = vertices[i] + offset[0]
      places.array[i + 1] = -(vertices[i + 1] + offset[1])
      places.array[i + 2] = -(vertices[i + 2] + offset[2])
    }
    places.needsUpdate = true
    geometry.computeVertexNormals()
    this.#ghost(look, !isSeen(source))
  }

  #crown(person, offset) {
    this.top.set(0, Number.NEGATIVE_INFINITY, 0)
    let sum = 0
    let count = 0
    for (let i = 0; i < person.joints.length / 3; i++) {
      const [x, y, z] = worldOf(person, i, offset)
      if (!Number.isFinite(x + y + z)) continue
      if (y > this.top.y) this.top.set(0, y, z)
      sum += x
      count += 1
    }
    this.top.x = sum / count
    this.top.y += 0.22
  }

  hide() {
    this.group.visible = false
  }

  dispose() {
    this.#limbs.dispose()
    this.#balls.dispose()
    this.#look.dispose()
    this.#body?.geometry.dispose()
    this.#body?.material.dispose()
    this.group.removeFromParent()
  }
}
