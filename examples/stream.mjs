// JPEGs from stdin, one after another, as they arrive; results in order, memory bounded.
import { createEngine } from '../index.mjs'

const END_OF_IMAGE = Buffer.from([0xff, 0xd9])

/** Cuts a series of JPEGs (ffmpeg's image2pipe) into frames. */
async function* jpegs(input) {
  let rest = Buffer.alloc(0)
  let frameNumber = 0
  for await (const chunk of input) {
    rest = Buffer.concat([rest, chunk])
    for (let end = rest.indexOf(END_OF_IMAGE); end >= 0; end = rest.indexOf(END_OF_IMAGE)) {
      yield { frameNumber: frameNumber++, image: Buffer.from(rest.subarray(0, end + 2)) }
      rest = rest.subarray(end + 2)
    }
  }
}

const engine = await createEngine()
try {
  for await (const result of engine.stream(jpegs(process.stdin))) {
    const people = result.persons.map(
      (person) => `${person.trackId}: elbow ${person.jointAngles3d?.left_elbow?.toFixed(0)}°`,
    )
    console.log(result.frameNumber, result.error ?? people.join('  '))
  }
} finally {
  await engine.close()
}
