// Videos and results on the web page, in a headless Chromium: every frame over its own picture, sources, curves, saving.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { exportPoses } from '../index.mjs'
import { CLIP, ffmpeg } from './helpers/videos.mjs'
import { drawn, drop, shown } from './helpers/web.mjs'
import { ink, lookAt, needsBoth } from './helpers/web_look.mjs'

const { look, site } = lookAt()

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
  const file = path.join(site.server.folder, 'people.webm')
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
    for await (const result of site.server.engine.processVideo(file)) truth.push(result)
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
    const file = path.join(site.server.folder, 'people.avi')
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
  for await (const result of site.server.engine.processVideo(file)) results.push(result)
  const saved = path.join(site.server.folder, 'poses.jsonl')
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
