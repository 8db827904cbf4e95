// A frame's people as the page holds them, from what a results file or the server says: checked, packed, finite or absent.

const camel = (key) => key.replaceAll(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase())

/** The keys of one object, as the API spells them; the server may spell them as the old service did. */
const spelled = (object) =>
  object && typeof object === 'object' && !Array.isArray(object)
    ? Object.fromEntries(Object.entries(object).map(([key, value]) => [camel(key), value]))
    : {}

const isNumber = (value) => typeof value === 'number' && Number.isFinite(value)

/** Numbers, nested or not, as one list; null where something else is among them. Unmeasured ones are NaN. */
export function flat(values, width) {
  if (ArrayBuffer.isView(values)) values = Array.from(values)
  if (!Array.isArray(values) || values.length === 0) return null
  const list = Array.isArray(values[0]) ? values.flat() : values
  if (width && list.length % width !== 0) return null
  const made = new Float32Array(list.length)
  for (let i = 0; i < list.length; i++) {
    const value = list[i]
    if (value !== null && typeof value !== 'number') return null
    made[i] = value === null ? Number.NaN : value
  }
  return made
}

/** One list of names for everybody who has the same, so that what is made of it is made once. */
class Names {
  #known = new Map()

  of(points) {
    const key = points.map(({ name }) => name).join()
    if (!this.#known.has(key)) this.#known.set(key, key.split(','))
    return this.#known.get(key)
  }
}

function angles(given) {
  const made = {}
  for (const [name, value] of Object.entries(given ?? {})) if (isNumber(value)) made[name] = value
  return made
}

/** `{ translation, focalLength, center }`; over HTTP `{ tx, ty, tz, focal_length, cx, cy }`. */
function camera(person) {
  const given = spelled(person.camera)
  const { tx, ty, tz, cx, cy, focalLength } = given
  const apart = isNumber(tx) ? [tx, ty, tz] : null
  const translation = flat(given.translation ?? apart ?? person.cameraTranslation ?? null)
  if (translation?.length !== 3 || !translation.every(Number.isFinite)) return null
  const center = flat(given.center ?? (isNumber(cx) ? [cx, cy] : null))
  return {
    translation,
    focalLength: isNumber(focalLength) ? focalLength : null,
    center: center?.length === 2 ? center : null,
  }
}

/** SMPL's numbers as a results file has them, row-major; only kept, the page shows the mesh. */
function body(given) {
  if (!given) return null
  const { globalOrient, bodyPose, betas } = spelled(given)
  const lists = [globalOrient, bodyPose, betas].map((values) => values?.flat(3))
  if (lists.some((list, at) => list?.length !== [9, 207, 10][at])) return null
  return { globalOrient: lists[0], bodyPose: lists[1], betas: lists[2] }
}

/** Every third number a coordinate; a joint that is not measured is NaN and not drawn. */
const triples = (values) => flat(Array.isArray(values) ? values : null, 3)

function person(raw, where, names) {
  const given = spelled(raw)
  const { keypoints } = given
  if (!Array.isArray(keypoints) || keypoints.some((point) => typeof point?.name !== 'string'))
    throw new Error(`${where}: a person without \`keypoints\` that have names`)
  const box = flat(given.box ?? given.bbox ?? null)
  if (box?.length !== 4) throw new Error(`${where}: a person without a \`box\` of four numbers`)
  const points = new Float32Array(keypoints.length * 3)
  keypoints.forEach(({ x, y, confidence }, at) => {
    points.set([x ?? Number.NaN, y ?? Number.NaN, confidence ?? 1], 3 * at)
  })
  const depths = keypoints.some(({ z }) => isNumber(z))
    ? Float32Array.from(keypoints, ({ z }) => z ?? Number.NaN)
    : null
  const joints = triples(given.joints3d ?? given.keypoints3d)
  return {
    trackId: isNumber(given.trackId) ? given.trackId : 0,
    box,
    score: [given.score, given.confidence].find(isNumber) ?? null,
    source: typeof given.source === 'string' ? given.source : 'detected',
    confidence: isNumber(given.trackingConfidence) ? given.trackingConfidence : 1,
    names: names.of(keypoints),
    /** x, y in pixels, confidence. */
    points,
    /** z of the keypoints, metres. */
    depths,
    joints: joints && joints.length === keypoints.length * 3 ? joints : null,
    angles: angles(given.jointAngles3d),
    camera: camera(given),
    vertices: triples(spelled(given.mesh).vertices ?? given.meshVertices),
    smpl: body(given.smpl),
    more: {
      ...(given.boxSource && { boxSource: given.boxSource }),
      ...(given.keypointSource && { keypointSource: given.keypointSource }),
    },
  }
}

/** Makes frames of one clip; `where` is for messages. */
export function frameReader() {
  const names = new Names()
  return (raw, where) => {
    const given = spelled(raw)
    const failed = given.errorCode ?? (given.error ? 'error' : null)
    if (!isNumber(given.frameNumber) && !failed)
      throw new Error(`${where}: a frame without \`frameNumber\``)
    if (!Array.isArray(given.persons) && !failed)
      throw new Error(`${where}: a frame without \`persons\``)
    const spot = `${where}, frame ${given.frameNumber}`
    const persons = (given.persons ?? []).map((one) => person(one, spot, names))
    // Over HTTP the first person's mesh stands beside the persons.
    if (persons[0] && !persons[0].vertices) persons[0].vertices = triples(given.meshVerticesData)
    return {
      number: given.frameNumber ?? Number.NaN,
      timeMs: isNumber(given.timestampMs) ? given.timestampMs : null,
      width: given.frameWidth ?? 0,
      height: given.frameHeight ?? 0,
      file: given.file ?? null,
      persons,
      errorCode: failed,
      error: given.error ?? null,
      ms: isNumber(given.processingTimeMs) ? given.processingTimeMs : null,
    }
  }
}
