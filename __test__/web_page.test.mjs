// The web page in a headless Chromium: what is opened is what the engine says, over the picture and in 3D.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { exportPoses } from '../index.mjs'
import { humansCache } from './helpers/humans.mjs'
import { CLIP, ffmpeg, needsFfmpeg } from './helpers/videos.mjs'
import {
  difference,
  drawn,
  drop,
  launch,
  needsChromium,
  shown,
  space,
  visit,
} from './helpers/web.mjs'
import { serveWeb } from './helpers/web_server.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const SAMPLE = path.join(ROOT, 'examples', 'sample.jpg')
const needsBoth = { skip: needsChromium.skip || needsFfmpeg.skip }

let server
let browser
before(async () => {
  if (needsChromium.skip) return
  ;[server, browser] = await Promise.all([serveWeb(), launch()])
})
after(async () => {
  await browser?.close()
  await server?.close()
})

/** A test with pages of its own, none of which may have had a fault or asked anybody else. */
function look(name, needs, body) {
  test(name, needs, async (t) => {
    const open = []
    const here = async (url = server.url) => {
      const visited = await visit(browser, url)
      open.push(visited)
      return visited.page
    }
    try {
      await body(here, t)
    } finally {
      for (const { close } of open) await close()
    }
    for (const { problems } of open) assert.deepEqual(problems, [])
  })
}

const sampleFile = () => ({ name: 'sample.jpg', type: 'image/jpeg', bytes: readFileSync(SAMPLE) })

/** How opaque the overlay is at places of the picture, 0 to 255. */
const ink = (page, places, size) =>
  page.evaluate(
    ([points, width]) => {
      const canvas = document.querySelector('#overlay')
      const scale = canvas.width / width
      const context = canvas.getContext('2d')
      return points.map(([x, y]) => {
        const at = [Math.floor(x * scale), Math.floor(y * scale)]
        return context.getImageData(...at, 1, 1).data[3]
      })
    },
    [places, size],
  )

const allInk = (page) =>
  page.evaluate(() => {
    const canvas = document.querySelector('#overlay')
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
    let count = 0
    for (let i = 3; i < data.length; i += 4) if (data[i] > 0) count += 1
    return count
  })

const inside = ({ box }, [x, y], margin) =>
  x > box[0] - margin && x < box[2] + margin && y > box[1] - margin && y < box[3] + margin

look('a dropped photo: its people, over the picture and in 3D', needsChromium, async (here, t) => {
  const [truth] = await server.engine.processFrames([{ frameNumber: 0, imagePath: SAMPLE }], {
    tracking: false,
  })
  assert.ok(truth.persons.length > 1)
  const page = await here()
  await drop(page, [sampleFile()])
  await shown(page)
  await drawn(page)

  await t.test('everybody has a card with the engine’s angles', async () => {
    const cards = await page.locator('#cards section').all()
    assert.equal(cards.length, truth.persons.length)
    for (const [i, person] of truth.persons.entries()) {
      const text = await cards[i].textContent()
      assert.match(text, new RegExp(`Person ${person.trackId}`))
      assert.ok(text.includes(person.source))
      for (const value of Object.values(person.jointAngles3d))
        assert.ok(text.includes(`${value.toFixed(1)}°`), `${value} in ${text}`)
    }
    assert.match(await page.textContent('#status'), /sample\.jpg: 1 photo, 2 people/)
    const shape = () => {
      const { naturalWidth, naturalHeight } = document.querySelector('#photo')
      return [naturalWidth, naturalHeight]
    }
    assert.deepEqual(await page.evaluate(shape), [truth.frameWidth, truth.frameHeight])
  })

  await t.test(
    'joints are drawn where the engine has them, and nothing far from anybody',
    async () => {
      const joints = truth.persons.flatMap(({ keypoints }) =>
        keypoints
          .filter(({ name, confidence }) => confidence > 0.5 && /shoulder|hip|knee/.test(name))
          .map(({ x, y }) => [x, y]),
      )
      assert.ok(joints.length >= 8)
      for (const alpha of await ink(page, joints, truth.frameWidth)) assert.ok(alpha > 100)
      const far = []
      for (let x = 20; x < truth.frameWidth; x += 60)
        for (let y = 20; y < truth.frameHeight; y += 60)
          if (!truth.persons.some((person) => inside(person, [x, y], 70))) far.push([x, y])
      assert.ok(far.length > 50)
      assert.ok((await ink(page, far, truth.frameWidth)).every((alpha) => alpha === 0))
    },
  )

  await t.test('boxes and skeletons can be taken away, and a person', async () => {
    const everything = await allInk(page)
    await page.uncheck('#boxes')
    await drawn(page)
    const skeletons = await allInk(page)
    assert.ok(skeletons > 0 && skeletons < everything)
    const before = await space(page)
    await page.getByLabel('Show person 1').uncheck()
    await drawn(page)
    const one = await allInk(page)
    assert.ok(one > 0 && one < skeletons)
    const without = await space(page)
    assert.ok(difference(before, without) > 0.003, 'person 1 is in the 3D view')
    await page.getByLabel('Show person 1').check()
    await page.uncheck('#skeletons')
    await drawn(page)
    assert.equal(await allInk(page), 0)
  })

  await t.test('the 3D view turns by mouse and by keys', async () => {
    // Home first: from then on the focus ring is in all pictures.
    await page.focus('#space')
    await page.keyboard.press('Home')
    const front = await space(page)
    await page.keyboard.press('ArrowLeft')
    const turned = await space(page)
    assert.ok(difference(front, turned) > 0.01)
    await page.keyboard.press('+')
    const nearer = await space(page)
    assert.ok(difference(turned, nearer) > 0.01)
    await page.keyboard.press('Shift+ArrowUp')
    assert.ok(difference(nearer, await space(page)) > 0.01)
    await page.keyboard.press('Home')
    assert.ok(difference(front, await space(page)) < 0.001, 'Home shows what was shown first')
    const box = await page.locator('#space').boundingBox()
    await page.mouse.move(box.x + 200, box.y + 150)
    await page.mouse.down()
    await page.mouse.move(box.x + 320, box.y + 170, { steps: 4 })
    await page.mouse.up()
    assert.ok(difference(front, await space(page)) > 0.02)
  })
})

look(
  'several photos, one of them broken: each has its own people, the broken one its reason',
  needsChromium,
  async (here) => {
    const page = await here()
    const broken = { name: 'broken.jpg', type: 'image/jpeg', bytes: Buffer.from('no picture') }
    const again = { ...sampleFile(), name: 'again.jpg' }
    await drop(page, [sampleFile(), broken, again])
    await shown(page)
    assert.match(await page.textContent('#problem-text'), /^broken\.jpg: /)
    assert.match(await page.textContent('#about'), /^2 photos · .*2 photos · 4 people/)
    assert.match(await page.textContent('#now'), /^sample\.jpg · 1 of 2/)
    const first = await page.getAttribute('#photo', 'src')
    assert.match(first, /^blob:/)
    await page.click('#next')
    assert.match(await page.textContent('#now'), /^again\.jpg · 2 of 2/)
    assert.notEqual(await page.getAttribute('#photo', 'src'), first)
    assert.equal(await page.locator('#cards section').count(), 2)
    assert.equal(await page.isVisible('#play'), false)
  },
)

/** Brightness of a small copy of what the video, or the photo, shows. */
const small = (page, shows = '#video') =>
  page.evaluate((selector) => {
    const canvas = new OffscreenCanvas(64, 36)
    const context = canvas.getContext('2d')
    context.drawImage(document.querySelector(selector), 0, 0, 64, 36)
    const { data } = context.getImageData(0, 0, 64, 36)
    return Array.from(
      { length: 64 * 36 },
      (_, i) => data[4 * i] + data[4 * i + 1] + data[4 * i + 2],
    )
  }, shows)

/** The same of every frame, by ffmpeg. */
function smallFrames(file) {
  const bytes = ffmpeg(
    '-i',
    file,
    '-vf',
    'scale=64:36:flags=area',
    '-f',
    'rawvideo',
    '-pix_fmt',
    'rgb24',
    '-',
  )
  const size = 64 * 36 * 3
  return Array.from({ length: bytes.length / size }, (_, frame) =>
    Array.from({ length: 64 * 36 }, (_, i) => {
      const at = frame * size + 3 * i
      return bytes[at] + bytes[at + 1] + bytes[at + 2]
    }),
  )
}

/** The frame that is most like a picture. */
function nearest(frames, picture) {
  const apart = frames.map((frame) =>
    frame.reduce((sum, value, i) => sum + Math.abs(value - picture[i]), 0),
  )
  return apart.indexOf(Math.min(...apart))
}

const frameShown = async (page) => Number(/frame (\d+)/.exec(await page.textContent('#now'))[1])

/** VP8: every Chromium plays it, also those without licensed codecs. */
function webm() {
  const file = path.join(server.folder, 'people.webm')
  ffmpeg(
    '-i',
    CLIP,
    '-c:v',
    'libvpx',
    '-b:v',
    '2M',
    '-deadline',
    'realtime',
    '-cpu-used',
    '8',
    file,
  )
  return file
}

look(
  'a video goes to the service and comes back as a clip that can be scrubbed and played',
  needsBoth,
  async (here, t) => {
    const file = webm()
    const truth = []
    for await (const result of server.engine.processVideo(file)) truth.push(result)
    const pictures = smallFrames(file)
    const page = await here()
    const spoken = page.evaluate(
      () =>
        new Promise((resolve) => {
          const said = []
          const status = document.querySelector('#status')
          new MutationObserver(() => {
            said.push(status.textContent)
            if (/people/.test(status.textContent) && /Person/.test(status.textContent))
              resolve(said)
          }).observe(status, { childList: true, characterData: true, subtree: true })
        }),
    )
    await page.setInputFiles('#files', file)
    await shown(page)

    await t.test('progress is spoken, and what came of it', async () => {
      const said = (await spoken).join('\n')
      assert.match(said, /Sending people\.webm/)
      assert.match(said, /Looking for people in people\.webm/)
      assert.match(said, /people\.webm: 45 frames, 2 people\. Person 1: .*detected/)
      assert.equal(await page.isVisible('#work'), false)
    })

    await t.test('every frame stands over its own picture', async () => {
      assert.equal(pictures.length, truth.length)
      for (const steps of [0, 1, 6, 9, 13]) {
        for (let i = 0; i < steps; i++) await page.click('#next')
        await page.waitForFunction(() => !document.querySelector('#video').seeking)
        await drawn(page)
        const index = await frameShown(page)
        // Neighbours of a still moment are alike: one apart is as near as a picture can tell.
        assert.ok(Math.abs(nearest(pictures, await small(page)) - index) <= 1, `frame ${index}`)
        const { persons, frameWidth } = truth[index]
        const hips = persons.flatMap(({ keypoints }) =>
          keypoints.filter(({ name }) => name.endsWith('_hip')).map(({ x, y }) => [x, y]),
        )
        for (const alpha of await ink(page, hips, frameWidth))
          assert.ok(alpha > 60, `frame ${index}`)
      }
    })

    await t.test('values beside the curves are those of the frame', async () => {
      const index = await frameShown(page)
      const angles = truth[index].persons.find(({ trackId }) => trackId === 1).jointAngles3d
      const text = await page.locator('#curves').textContent()
      for (const name of ['left_elbow', 'right_knee', 'neck'])
        assert.ok(text.includes(`${angles[name].toFixed(1)}°`), `${name} of frame ${index}`)
      await page.getByRole('button', { name: 'Person 2' }).click()
      const other = truth[index].persons.find(({ trackId }) => trackId === 2).jointAngles3d
      assert.ok(
        (await page.locator('#curves').textContent()).includes(`${other.left_elbow.toFixed(1)}°`),
      )
    })

    await t.test('it plays to its end, and the people with it', async () => {
      await page.keyboard.press('Escape')
      await page.focus('#seek')
      await page.keyboard.press('Home')
      assert.equal(await frameShown(page), 0)
      await page.click('#play')
      await page.waitForFunction(() =>
        / frame (1\d|2\d)/.test(document.querySelector('#now').textContent),
      )
      assert.equal(await page.getAttribute('#play', 'aria-label'), 'Stop')
      await page.waitForFunction(
        () => document.querySelector('#play').getAttribute('aria-label') === 'Play',
        null,
        { timeout: 60_000 },
      )
      assert.equal(await frameShown(page), truth.length - 1)
    })

    await t.test('a strip can be dragged along', async () => {
      const strip = await page.locator('.strip').first().boundingBox()
      await page.mouse.click(strip.x + strip.width / 2, strip.y + 10)
      assert.ok(Math.abs((await frameShown(page)) - 22) <= 1)
    })
  },
)

look(
  'a video that the browser cannot play: its pictures come from the service',
  needsBoth,
  async (here) => {
    const file = path.join(server.folder, 'people.avi')
    ffmpeg('-i', CLIP, '-t', '0.5', '-c:v', 'mpeg4', '-q:v', '3', file)
    const pictures = smallFrames(file)
    const page = await here()
    await page.setInputFiles('#files', file)
    await shown(page)
    assert.equal(await page.isVisible('#video'), false)
    for (const steps of [0, 9]) {
      for (let i = 0; i < steps; i++) await page.click('#next')
      await page.waitForSelector(`#photo[data-frame="${steps}"]:not([hidden])`)
      await page.waitForFunction(() => document.querySelector('#photo').complete)
      const index = await frameShown(page)
      const found = nearest(pictures, await small(page, '#photo'))
      assert.ok(Math.abs(found - index) <= 1, `frame ${index} stands over the picture of ${found}`)
    }
    assert.equal(await page.isVisible('#bare'), false)
    assert.equal(await page.isVisible('#problem'), false)
  },
)

look('results open without any server, with the video beside them', needsBoth, async (here, t) => {
  const file = webm()
  const results = []
  for await (const result of server.engine.processVideo(file)) results.push(result)
  const saved = path.join(server.folder, 'poses.jsonl')
  const header = { source: { kind: 'video', file: 'people.webm' } }
  await exportPoses(results, saved, { header })
  const page = await here()
  await page.waitForSelector('.engine[data-state=ready]')
  const asked = []
  page.on('request', (request) => asked.push(request.url()))
  await page.context().setOffline(true)
  await page.setInputFiles('#files', saved)
  await shown(page)
  assert.match(await page.textContent('#about'), /poses\.jsonl · .*45 frames · 2 people/)

  await t.test('the strip has every frame’s source, the table every value', async () => {
    const counts = {}
    for (const { persons } of results)
      for (const { trackId, source } of persons) {
        counts[trackId] ??= {}
        counts[trackId][source] = (counts[trackId][source] ?? 0) + 1
      }
    for (const [id, sources] of Object.entries(counts)) {
      const label = await page.getAttribute(`.tracks li:nth-child(${id}) canvas`, 'aria-label')
      for (const [source, count] of Object.entries(sources))
        assert.ok(label.includes(`${count} ${source}`), label)
    }
    await page.getByText('Table', { exact: true }).click()
    const cells = await page.locator('#table tbody tr').nth(7).locator('td').allInnerTexts()
    const person = results[7].persons.find(({ trackId }) => trackId === 1)
    const names = ['left_elbow', 'right_elbow', 'left_shoulder', 'right_shoulder', 'left_hip']
    assert.deepEqual(cells.slice(0, 8), [
      `${(results[7].timestampMs / 1000).toFixed(2)} s`,
      person.source,
      person.trackingConfidence.toFixed(2),
      ...names.map((name) => person.jointAngles3d[name].toFixed(1)),
    ])
  })

  await t.test('the video that belongs to them is put behind them', async () => {
    assert.ok(await page.isVisible('#bare'))
    await drop(page, [{ name: 'people.webm', type: 'video/webm', bytes: readFileSync(file) }])
    await page.waitForSelector('#video:not([hidden])')
    assert.equal(await page.isVisible('#bare'), false)
  })

  await t.test(
    'nothing was asked of the server, and the 3D view is there all the same',
    async () => {
      const paths = asked
        .filter((url) => !url.startsWith('blob:'))
        .map((url) => new URL(url).pathname)
      assert.deepEqual(
        paths.filter((name) => name !== '/health'),
        [],
      )
      assert.match(await page.textContent('#space-note'), /^One square is 1 m/)
    },
  )

  await t.test('they can be saved again', async () => {
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#csv')])
    assert.equal(download.suggestedFilename(), 'poses-angles.csv')
    const text = readFileSync(await download.path(), 'utf8')
    const records = results.reduce((sum, { persons }) => sum + persons.length, 0)
    assert.equal(text.trim().split('\r\n').length, records + 1)
  })
})

look('bodies of 4D-Humans are shown as meshes', needsChromium, async (here) => {
  const cache = humansCache()
  const out = path.join(server.folder, 'bodies.json')
  try {
    const args = ['process', SAMPLE, '--model', '4dhumans', '--detector', 'full-image']
    const rest = ['--precision', 'fp32', '--keypoints', 'smpl24', '--mesh', '--out', out]
    const cli = path.join(ROOT, 'bin', 'pose4d.mjs')
    await promisify(execFile)(
      process.execPath,
      [cli, ...args, ...rest, '--cache-dir', cache.cacheDir],
      {
        env: {
          ...process.env,
          HOME: cache.cacheDir,
          XDG_CACHE_HOME: path.join(cache.cacheDir, '.cache'),
        },
      },
    )
    const page = await here()
    await page.setInputFiles('#files', out)
    await shown(page)
    const bodies = await space(page)
    await page.uncheck('#mesh')
    const sticks = await space(page)
    assert.ok(difference(bodies, sticks) > 0.01, 'the mesh is another picture than the sticks')
    await page.getByLabel('Show person 1').uncheck()
    assert.ok(difference(sticks, await space(page)) > 0.002)
  } finally {
    cache.remove()
  }
})

look('what goes wrong is said', needsChromium, async (here, t) => {
  const page = await here()
  const problem = async () => {
    await page.waitForSelector('#problem:not([hidden])')
    const text = await page.textContent('#problem-text')
    await page.click('#problem-close')
    return text
  }
  const plain = (name, text) => [{ name, type: '', bytes: Buffer.from(text) }]

  await t.test('files of no known kind, and broken results', async () => {
    await drop(page, plain('notes.txt', 'x'))
    assert.match(await problem(), /notes\.txt: neither a photo, nor a video, nor results/)
    await drop(page, plain('poses.json', '{"frames":'))
    assert.match(await problem(), /poses\.json is not JSON/)
    await drop(page, plain('package.json', '{"name":"x"}'))
    assert.match(await problem(), /no file of results.*pose4d process/)
    assert.equal(await page.isVisible('#viewer'), false)
  })

  await t.test('a service that is gone, and one that refuses', async () => {
    await page.route('**/pose', (route) => route.abort())
    await drop(page, [sampleFile()])
    assert.match(await problem(), /does not answer.*pose4d serve/)
    await page.unroute('**/pose')
    const busy = { status: 413, json: { error: 'at most 1 MB' } }
    await page.route('**/pose', (route) => route.fulfill(busy))
    await drop(page, [sampleFile()])
    assert.match(await problem(), /sample\.jpg.*no file of this size.*at most 1 MB/)
    await page.unroute('**/pose')
  })

  await t.test('a full service is asked again', async () => {
    let asked = 0
    await page.route('**/pose', (route) => {
      asked += 1
      const full = { status: 429, headers: { 'retry-after': '0.2' }, json: { error: 'full' } }
      return asked < 3 ? route.fulfill(full) : route.continue()
    })
    await drop(page, [sampleFile()])
    await shown(page)
    assert.equal(asked, 3)
    await page.unroute('**/pose')
  })
})

look('work can be cancelled', needsBoth, async (here) => {
  const page = await here()
  await page.route('**/pose', () => {})
  await drop(page, [sampleFile()])
  await page.click('#cancel')
  await page.waitForSelector('#work', { state: 'hidden' })
  assert.equal(await page.textContent('#status'), 'Cancelled')
  assert.equal(await page.isVisible('#problem'), false)
  // Of a video the service is told, too.
  await page.setInputFiles('#files', CLIP)
  await page.waitForFunction(() =>
    /Looking/.test(document.querySelector('#work-label').textContent),
  )
  const told = page.waitForResponse((answer) => answer.request().method() === 'DELETE')
  await page.click('#cancel')
  assert.equal((await told).status(), 200)
})

look('a service with a token is asked with it', needsChromium, async (here) => {
  const guarded = await serveWeb({ token: 'secret' })
  try {
    const page = await here(guarded.url)
    await drop(page, [sampleFile()])
    await page.waitForSelector('#token[open]')
    await page.fill('#token-value', 'wrong')
    await page.keyboard.press('Enter')
    await page.waitForFunction(() => {
      const [dialog, value] = ['#token', '#token-value'].map((id) => document.querySelector(id))
      return dialog.open && value.value === ''
    })
    await page.fill('#token-value', 'secret')
    await page.keyboard.press('Enter')
    await shown(page)
    assert.equal(await page.locator('#cards section').count(), 2)
  } finally {
    await guarded.close()
  }
})

look('mounted below another path', needsChromium, async (here) => {
  const below = await serveWeb({ prefix: '/tools/pose' })
  try {
    const page = await here(below.url)
    await drop(page, [sampleFile()])
    await shown(page)
    assert.equal(await page.locator('#cards section').count(), 2)
  } finally {
    await below.close()
  }
})
