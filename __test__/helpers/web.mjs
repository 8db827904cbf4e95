// A headless Chromium to look at the web page with, and what is seen there.

import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chromium } from 'playwright-core'
import { renderOverlay } from '../../index.mjs'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

function onPath(name) {
  try {
    return execFileSync('which', [name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')[0]
  } catch {
    return null
  }
}

/** A browser that is already here: `POSE4D_CHROMIUM`, one on the PATH, or one that Playwright was told to fetch. */
function findChromium() {
  const asked = process.env.POSE4D_CHROMIUM
  if (asked) return existsSync(asked) ? asked : null
  const fetched = chromium.executablePath()
  return NAMES.map(onPath).find(Boolean) ?? (existsSync(fetched) ? fetched : null)
}

export const CHROMIUM = findChromium()

export const needsChromium = {
  skip: CHROMIUM
    ? false
    : 'no Chromium: install one (Debian: apt-get install chromium; anywhere: npx playwright-core install chromium) or name it in POSE4D_CHROMIUM',
}

/** WebGL on the processor: no card is needed. */
const FLAGS = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader']

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: FLAGS })

/**
 * A page whose every fault is noted: `problems` has errors, refusals by the policy and requests that would leave the
 * origin. The view is asked for still, unless a test is about motion.
 */
export async function visit(browser, url, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 860 },
    reducedMotion: 'reduce',
    ...options,
  })
  const page = await context.newPage()
  const problems = []
  const { origin } = new URL(url)
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`))
  page.on('console', (message) => {
    // A refused or missing answer is what some tests are about, and reading pixels back is what tests do.
    const expected = /Failed to load resource|getImageData/.test(message.text())
    if (['error', 'warning'].includes(message.type()) && !expected) problems.push(message.text())
  })
  page.on('request', (request) => {
    const asked = new URL(request.url())
    if (asked.protocol.startsWith('http') && asked.origin !== origin)
      problems.push(`left the origin: ${asked}`)
  })
  await page.goto(url)
  return { page, problems, close: () => context.close() }
}

/** As somebody drops files on the page; `files`: `[{ name, type, bytes }]`. */
export async function drop(page, files) {
  const plain = files.map(({ name, type, bytes }) => ({
    name,
    type,
    text: bytes.toString('base64'),
  }))
  const transfer = await page.evaluateHandle((list) => {
    const data = new DataTransfer()
    for (const { name, type, text } of list) {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
      data.items.add(new File([bytes], name, { type }))
    }
    return data
  }, plain)
  for (const event of ['dragenter', 'dragover', 'drop'])
    await page.dispatchEvent('body', event, { dataTransfer: transfer })
}

/** Until people are shown; fails with what the page complains of. */
export async function shown(page) {
  const either = '#viewer:not([hidden]), #problem:not([hidden])'
  await page.waitForSelector(either, { timeout: 120_000 })
  if (!(await page.isVisible('#viewer'))) throw new Error(await page.textContent('#problem'))
}

/** The page has drawn what it was asked to draw. */
export const drawn = (page) =>
  page.evaluate(
    () =>
      new Promise((resolve) =>
        requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(resolve))),
      ),
  )

/** What the 3D view shows, as pixels. */
export async function space(page) {
  await drawn(page)
  return pixelsOf(await page.locator('#space canvas').screenshot({ animations: 'disabled' }))
}

/** Share of pixels that differ between two pictures of one size. */
export function difference(a, b) {
  if (a.width !== b.width || a.height !== b.height) throw new Error('pictures of two sizes')
  let count = 0
  for (let i = 0; i < a.rgb.length; i += 3) {
    const apart = [0, 1, 2].map((at) => Math.abs(a.rgb[i + at] - b.rgb[i + at]))
    if (Math.max(...apart) > 24) count += 1
  }
  return (3 * count) / a.rgb.length
}

/** A PNG's pixels: `{ width, height, rgb }`. */
export async function pixelsOf(png) {
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)]
  const frame = { frameWidth: width, frameHeight: height, persons: [] }
  const rgb = await renderOverlay({ image: png }, frame, { format: 'rgb' })
  return { width, height, rgb }
}
