// Tests that look at the page: a server and a browser for all of a file, pages for each, and what they all use.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { needsFfmpeg } from './videos.mjs'
import { launch, needsChromium, visit } from './web.mjs'
import { serveWeb } from './web_server.mjs'

export const SAMPLE = fileURLToPath(new URL('../../examples/sample.jpg', import.meta.url))
export const needsBoth = { skip: needsChromium.skip || needsFfmpeg.skip }

export const sampleFile = () => ({
  name: 'sample.jpg',
  type: 'image/jpeg',
  bytes: readFileSync(SAMPLE),
})

/** How opaque the overlay is at places of the picture, 0 to 255. */
export const ink = (page, places, size) =>
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

/** `{ look, site }`: `look(name, needs, body(here, t))` is a test, `here(url?, options?)` opens the page, `site.server` is up in it. */
export function lookAt() {
  const site = {}
  let browser
  before(async () => {
    if (needsChromium.skip) return
    ;[site.server, browser] = await Promise.all([serveWeb(), launch()])
  })
  after(async () => {
    await browser?.close()
    await site.server?.close()
  })

  /** None of the pages may have had a fault, or asked anybody else. */
  function look(name, needs, body) {
    test(name, needs, async (t) => {
      const open = []
      const here = async (url = site.server.url, options = {}) => {
        const visited = await visit(browser, url, options)
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
  return { look, site }
}
