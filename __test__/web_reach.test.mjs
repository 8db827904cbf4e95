// Who cannot see the page, use a mouse, or bear motion; small windows; light and dark.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { exportPoses } from '../index.mjs'
import { CLIP, needsFfmpeg } from './helpers/videos.mjs'
import { difference, drawn, launch, needsChromium, shown, space, visit } from './helpers/web.mjs'
import { serveWeb } from './helpers/web_server.mjs'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const SAMPLE = fileURLToPath(new URL('../examples/sample.jpg', import.meta.url))
const needsBoth = { skip: needsChromium.skip || needsFfmpeg.skip }

let server
let browser
let results
before(async () => {
  if (needsBoth.skip) return
  ;[server, browser] = await Promise.all([serveWeb(), launch()])
  const found = []
  for await (const result of server.engine.processVideo(CLIP)) found.push(result)
  results = path.join(server.folder, 'poses.json')
  await exportPoses(found, results, { header: { source: { kind: 'video', file: 'clip.mp4' } } })
})
after(async () => {
  await browser?.close()
  await server?.close()
})

async function withPage(options, body) {
  const { page, problems, close } = await visit(browser, server.url, options)
  try {
    await body(page)
  } finally {
    await close()
  }
  assert.deepEqual(problems, [])
}

async function openFile(page, file) {
  await page.setInputFiles('#files', file)
  await shown(page)
  await drawn(page)
}

/** All that axe finds, in words; nothing of it is let pass. */
async function faults(page) {
  // Evaluated by the debugger, which the page's policy does not concern.
  await page.evaluate(AXE)
  const { violations, passes } = await page.evaluate(() =>
    globalThis.axe.run(document, { resultTypes: ['violations'] }),
  )
  assert.ok(passes.length > 10, 'axe looked at something')
  return violations.flatMap(({ id, impact, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${impact} ${id}: ${target} ${failureSummary}`),
  )
}

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing, ${colorScheme}`, needsBoth, async (t) => {
    await withPage({ colorScheme }, async (page) => {
      await t.test('at the start', async () => assert.deepEqual(await faults(page), []))
      await t.test('with the keys shown', async () => {
        await page.click('#help')
        assert.deepEqual(await faults(page), [])
        await page.keyboard.press('Escape')
      })
      await t.test('with a photo', async () => {
        await openFile(page, SAMPLE)
        assert.deepEqual(await faults(page), [])
      })
      await t.test('with a clip, as curves', async () => {
        await openFile(page, results)
        await page.waitForSelector('#curves .chart')
        assert.deepEqual(await faults(page), [])
      })
      await t.test('as a table', async () => {
        await page.getByText('Table', { exact: true }).click()
        assert.deepEqual(await faults(page), [])
      })
      await t.test('with a problem', async () => {
        const broken = { name: 'x.json', mimeType: 'application/json', buffer: Buffer.from('{') }
        await page.setInputFiles('#files', broken)
        await page.waitForSelector('#problem:not([hidden])')
        assert.deepEqual(await faults(page), [])
      })
    })
  })
}

const focused = (page) =>
  page.evaluate(() => {
    const { activeElement: at } = document
    return at.id || at.className || at.tagName
  })

/** The stops from here on, by Tab, as far as one; beyond the last the focus would leave the page. */
async function stops(page, last, most = 60) {
  const made = []
  while (made.at(-1) !== last && made.length < most) {
    await page.keyboard.press('Tab')
    made.push(await focused(page))
  }
  return made
}

const inOrder = (list, ...names) => {
  const places = names.map((name) => list.indexOf(name))
  assert.ok(!places.includes(-1), `${names} in ${list}`)
  assert.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
    `${names} in ${list}`,
  )
}

test('all by keys: open, go through the clip, turn, read, save', needsBoth, async (t) => {
  await withPage({}, async (page) => {
    await t.test('the first stop leads past the head; a file is chosen with Enter', async () => {
      const made = await stops(page, 'choose')
      inOrder(made, 'skip', 'open', 'theme', 'help', 'choose')
      const chooser = page.waitForEvent('filechooser')
      // The browser is told to expect it; only then a key.
      await drawn(page)
      await page.keyboard.press('Enter')
      await (await chooser).setFiles(results)
      await shown(page)
      assert.equal(await focused(page), 'main')
    })

    await t.test('from there keys go through the frames', async () => {
      const now = () => page.textContent('#now')
      await page.keyboard.press('ArrowRight')
      assert.match(await now(), /frame 1 /)
      await page.keyboard.press('Shift+ArrowRight')
      assert.match(await now(), /frame 11 /)
      await page.keyboard.press('End')
      assert.match(await now(), /frame 44 /)
      await page.keyboard.press('Home')
      assert.match(await now(), /frame 0 /)
      await page.keyboard.press(' ')
      await page.waitForFunction(() => !/frame 0 /.test(document.querySelector('#now').textContent))
      await page.keyboard.press(' ')
      assert.equal(await page.getAttribute('#play', 'aria-label'), 'Play')
    })

    await t.test('the stops come in the order of the page', async () => {
      await page.focus('#main')
      const made = await stops(page, 'csv')
      const order = ['boxes', 'skeletons', 'space', 'view-front', 'turn', 'back', 'play', 'next']
      inOrder(made, ...order, 'repeat', 'rate', 'seek', 'pick', 'csv')
    })

    await t.test('the slider says where it is', async () => {
      await page.focus('#seek')
      await page.keyboard.press('Home')
      await page.keyboard.press('ArrowUp')
      await page.keyboard.press('PageUp')
      assert.equal(await page.getAttribute('#seek', 'aria-valuetext'), 'frame 11, 0.37 s')
      await drawn(page)
      const label = await page.getAttribute('#overlay', 'aria-label')
      assert.match(label, /^Frame 11: person 1 \w+.*; person 2 /)
    })

    await t.test('curves have a table in their place', async () => {
      const chart = await page.locator('#curves svg').first().getAttribute('aria-label')
      assert.match(chart, /Angle of the elbow over time, person 1: left \d+ to \d+ degrees, right/)
      await page.focus('[name=angles-as][value=curves]')
      await page.keyboard.press('ArrowRight')
      assert.ok(await page.isVisible('#table table'))
      assert.equal(await page.isVisible('#curves'), false)
      const row = page.locator('#table tr[aria-current=true] th')
      assert.equal((await row.textContent()).trim(), '11')
      await page.getByRole('button', { name: 'Later frames' }).focus()
      await page.keyboard.press('Enter')
      assert.match(await page.locator('#table caption').textContent(), /frames 25 to 44/)
      assert.equal(await focused(page), 'later')
      await page.getByRole('button', { name: 'Go to frame 30' }).focus()
      await page.keyboard.press('Enter')
      assert.match(await page.textContent('#now'), /frame 30 /)
    })

    await t.test('a person is picked and hidden', async () => {
      await page.getByRole('button', { name: /^Person 2/ }).focus()
      await page.keyboard.press('Enter')
      assert.equal(await page.textContent('#angles-title'), 'Joint angles of person 2')
      await page.getByLabel('Show person 2').focus()
      const shownBoth = await space(page)
      await page.keyboard.press(' ')
      assert.ok(difference(shownBoth, await space(page)) > 0.002)
    })

    await t.test('dialogs open, close, and give the focus back', async () => {
      await page.focus('#help')
      await page.keyboard.press('Enter')
      assert.ok(await page.isVisible('#keys'))
      await page.keyboard.press('Escape')
      assert.equal(await page.isVisible('#keys'), false)
      assert.equal(await focused(page), 'help')
    })
  })
})

test(
  'what turns does so only where motion is welcome, and can be stopped',
  needsBoth,
  async (t) => {
    const pause = (page) => page.waitForTimeout(700)
    await t.test('welcome: a photo’s people turn until the button stops them', async () => {
      await withPage({ reducedMotion: 'no-preference' }, async (page) => {
        await openFile(page, SAMPLE)
        assert.equal(await page.getAttribute('#turn', 'aria-pressed'), 'true')
        const first = await space(page)
        await pause(page)
        assert.ok(difference(first, await space(page)) > 0.004)
        await page.click('#turn')
        await pause(page)
        const still = await space(page)
        await pause(page)
        assert.equal(difference(still, await space(page)), 0)
      })
    })
    await t.test('not welcome: nothing moves by itself', async () => {
      await withPage({ reducedMotion: 'reduce' }, async (page) => {
        await openFile(page, SAMPLE)
        assert.equal(await page.getAttribute('#turn', 'aria-pressed'), 'false')
        const first = await space(page)
        await pause(page)
        assert.equal(difference(first, await space(page)), 0)
      })
    })
  },
)

test('no window is too narrow, and nothing has to be scrolled sideways', needsBoth, async () => {
  for (const width of [320, 390, 768, 1024, 1920]) {
    await withPage({ viewport: { width, height: 700 } }, async (page) => {
      const fits = async (what) => {
        const wide = await page.evaluate(() => document.scrollingElement.scrollWidth)
        assert.ok(wide <= width, `${what}: ${wide} pixels wide in a window of ${width}`)
      }
      await fits('start')
      await openFile(page, results)
      await fits('clip')
      for (const id of ['#overlay', '#space', '#seek', '#tracks', '#curves']) {
        const box = await page.locator(id).boundingBox()
        assert.ok(box.width > 150 && box.height > 15, `${id} has ${box.width} × ${box.height}`)
        assert.ok(box.x >= 0 && box.x + box.width <= width + 0.5, `${id} sticks out`)
      }
    })
  }
})

test('the button changes the colours, and the page remembers', needsBoth, async () => {
  await withPage({ colorScheme: 'light' }, async (page) => {
    const light = () =>
      page.evaluate(() => {
        const [red] = getComputedStyle(document.body).backgroundColor.match(/\d+/g)
        return Number(red) > 128
      })
    assert.equal(await light(), true)
    await page.click('#theme')
    assert.match(await page.getAttribute('#theme', 'aria-label'), /light/)
    await page.click('#theme')
    assert.equal(await light(), false)
    await openFile(page, results)
    const dark = await space(page)
    await page.reload()
    assert.equal(await light(), false)
    await page.click('#theme')
    assert.equal(await light(), true)
    await openFile(page, results)
    assert.ok(difference(dark, await space(page)) > 0.5, 'the 3D view goes with the page')
  })
})
