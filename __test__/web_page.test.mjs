// The web page in a headless Chromium: photos and bodies are what the engine says, over the picture and in 3D; faults are said.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { humansCache } from './helpers/humans.mjs'
import { CLIP } from './helpers/videos.mjs'
import { difference, drawn, drop, needsChromium, shown, space } from './helpers/web.mjs'
import { ink, lookAt, needsBoth, SAMPLE, sampleFile } from './helpers/web_look.mjs'
import { serveWeb } from './helpers/web_server.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const { look, site } = lookAt()

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
  const [truth] = await site.server.engine.processFrames([{ frameNumber: 0, imagePath: SAMPLE }], {
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

look('bodies of 4D-Humans are shown as meshes', needsChromium, async (here) => {
  const cache = humansCache()
  const out = path.join(site.server.folder, 'bodies.json')
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
    // Random weights give random triangles, all over the view: slow to draw without a card.
    const page = await here(site.server.url, { viewport: { width: 360, height: 420 } })
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
