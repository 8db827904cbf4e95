// Runs in the report's page: draws each person's curves and bands, and follows the pointer through all of them.
;(() => {
  const data = JSON.parse(document.getElementById('data').textContent)
  const { frames, times, tracks, failed } = data
  const SOURCES = { d: 'detected', r: 'recovered', p: 'predicted', i: 'interpolated' }
  const PLOT = { left: 30, right: 6, top: 6, bottom: 16 }
  const CHART_HEIGHT = 118
  const BAND = { source: 14, confidence: 34, gap: 4 }
  const listeners = []

  const svgElement = (name, attributes, parent) => {
    const made = document.createElementNS('http://www.w3.org/2000/svg', name)
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value)
    parent?.append(made)
    return made
  }
  const element = (name, className, parent, text) => {
    const made = document.createElement(name)
    if (className) made.className = className
    if (text !== undefined) made.textContent = text
    parent?.append(made)
    return made
  }

  const start = times[0] ?? 0
  const end = times.at(-1) ?? 1
  const span = Math.max(end - start, 1e-3)
  const xOf = (index, width) =>
    PLOT.left + ((times[index] - start) / span) * (width - PLOT.left - PLOT.right)

  /** The frame nearest to a place in a plot. */
  function indexAt(x, width) {
    const time = start + ((x - PLOT.left) / (width - PLOT.left - PLOT.right)) * span
    let [low, high] = [0, times.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (times[middle] < time) low = middle + 1
      else high = middle
    }
    return low > 0 && time - times[low - 1] < times[low] - time ? low - 1 : low
  }

  /** Points as paths, broken where there is none; many in one column become its least and its most. */
  function pathOf(points, width) {
    const dense = points.length > 3 * width
    let path = ''
    let pen = false
    let column
    const flush = () => {
      if (!column) return
      const { x, least, most } = column
      path += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${least.toFixed(1)}`
      if (most !== least) path += `L${x.toFixed(1)} ${most.toFixed(1)}`
      pen = true
      column = undefined
    }
    for (const point of points) {
      if (!point) {
        flush()
        pen = false
        continue
      }
      const [x, y] = point
      if (!dense) {
        path += `${pen ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`
        pen = true
      } else if (column && Math.round(column.x) === Math.round(x)) {
        column.least = Math.min(column.least, y)
        column.most = Math.max(column.most, y)
      } else {
        flush()
        column = { x, least: y, most: y }
      }
    }
    flush()
    return path
  }

  const widthOf = (host) => Math.max(260, Math.floor(host.getBoundingClientRect().width))

  /** A picture that is drawn again when its place changes size; tells where the pointer is. */
  function figure(host, height, draw) {
    const svg = svgElement('svg', { height, role: 'img' }, host)
    let line
    let width
    const redraw = () => {
      width = widthOf(host)
      svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
      svg.replaceChildren()
      draw(svg, width)
      line = svgElement('line', { class: 'cursor', y1: 0, y2: height, visibility: 'hidden' }, svg)
    }
    redraw()
    svg.addEventListener('pointermove', (event) => {
      const box = svg.getBoundingClientRect()
      show(indexAt(((event.clientX - box.left) / box.width) * width, width))
    })
    listeners.push((index) => {
      const x = xOf(index, width)
      line.setAttribute('x1', x)
      line.setAttribute('x2', x)
      line.setAttribute('visibility', 'visible')
    })
    return redraw
  }

  const redraws = []
  addEventListener('resize', () => {
    for (const redraw of redraws) redraw()
  })

  function show(index) {
    for (const listen of listeners) listen(index)
  }

  function niceStep(range, most) {
    const raw = range / most
    const power = 10 ** Math.floor(Math.log10(raw))
    return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= raw)
  }

  function timeAxis(svg, width, y) {
    const step = niceStep(span, Math.max(2, Math.floor(width / 90)))
    for (let time = Math.ceil(start / step) * step; time <= end + 1e-9; time += step) {
      const x = PLOT.left + ((time - start) / span) * (width - PLOT.left - PLOT.right)
      const anchor = x > width - 30 ? 'end' : 'middle'
      const label = svgElement('text', { x, y, 'text-anchor': anchor }, svg)
      label.textContent = `${Number(time.toFixed(3))} s`
    }
  }

  const seenAt = (track, at) => track.source[at] === 'd' || track.source[at] === 'r'

  /** The curve where the person was seen, and apart from it where not: neighbours join both. */
  function curves(svg, track, values, yOf, width, colour) {
    const point = (at) =>
      values[at] === null || values[at] === undefined
        ? undefined
        : [xOf(track.first + at, width), yOf(values[at])]
    const seen = []
    const guessed = []
    for (let at = 0; at < values.length; at++) {
      const sure = seenAt(track, at)
      const nearGuess =
        !sure ||
        (at + 1 < values.length && !seenAt(track, at + 1)) ||
        (at > 0 && !seenAt(track, at - 1))
      seen.push(sure ? point(at) : undefined)
      guessed.push(nearGuess ? point(at) : undefined)
    }
    const stroke = `var(--${colour})`
    svgElement('path', { class: 'curve guess', stroke, d: pathOf(guessed, width) }, svg)
    svgElement('path', { class: 'curve', stroke, d: pathOf(seen, width) }, svg)
    const alone = seen.map((at, i) => at && !seen[i - 1] && !seen[i + 1] && at).filter(Boolean)
    for (const [cx, cy] of alone) svgElement('circle', { cx, cy, r: 2, fill: stroke }, svg)
  }

  function bands(host, track) {
    const height = BAND.source + BAND.gap + BAND.confidence + PLOT.bottom
    const low = BAND.source + BAND.gap + BAND.confidence
    const draw = (svg, width) => {
      const right = width - PLOT.right
      const half = (index) => {
        const here = xOf(index, width)
        const next = index + 1 < times.length ? xOf(index + 1, width) : right
        return [here, Math.max(next - here, 1)]
      }
      const background = { x: PLOT.left, y: 0, width: right - PLOT.left, height: BAND.source }
      svgElement('rect', { ...background, fill: 'var(--line)', opacity: 0.6 }, svg)
      const letters = track.source
      for (let at = 0; at < letters.length; ) {
        let last = at
        while (letters[last + 1] === letters[at]) last += 1
        if (SOURCES[letters[at]]) {
          const [x] = half(track.first + at)
          const [from, size] = half(track.first + last)
          const fill = `var(--${SOURCES[letters[at]]})`
          svgElement('rect', { x, y: 0, width: from + size - x, height: BAND.source, fill }, svg)
        }
        at = last + 1
      }
      // Beside the record, if there is one: somebody may be filled in where a frame failed.
      for (const index of failed) {
        const [x, size] = half(index)
        const height = BAND.source / 3
        svgElement('rect', { x, y: 0, width: size, height, fill: 'var(--failed)' }, svg)
      }
      const yOf = (value) => low - value * BAND.confidence
      for (const value of [0, 1]) {
        svgElement(
          'line',
          { class: 'grid', x1: PLOT.left, x2: right, y1: yOf(value), y2: yOf(value) },
          svg,
        )
        const label = svgElement(
          'text',
          { x: PLOT.left - 5, y: yOf(value) + 3, 'text-anchor': 'end' },
          svg,
        )
        label.textContent = value
      }
      const points = track.confidence.map((value, at) =>
        value === null ? undefined : [xOf(track.first + at, width), yOf(value)],
      )
      svgElement('path', { class: 'curve', stroke: 'var(--faint)', d: pathOf(points, width) }, svg)
      timeAxis(svg, width, height - 4)
    }
    redraws.push(figure(host, height, draw))
  }

  /** `left_knee` and `right_knee` in one picture, what is there once in one of its own. */
  function groups(track) {
    const made = new Map()
    for (const name of Object.keys(track.angles)) {
      const [, side, joint] = /^(left|right)_(.+)$/.exec(name) ?? [null, 'middle', name]
      if (!made.has(joint)) made.set(joint, [])
      made.get(joint).push({ name, side })
    }
    return made
  }

  function chart(host, track, joint, lines) {
    const box = element('div', 'chart', host)
    const title = element('h3', '', box)
    element('div', '', title, joint.replaceAll('_', ' '))
    const reading = element('span', '', title)
    const parts = lines.map(({ side, name }) => ({
      name,
      text: element('span', side, reading),
      side,
    }))
    const values = lines.flatMap(({ name }) => track.angles[name].filter((value) => value !== null))
    if (values.length === 0) return
    const step = niceStep(
      Math.max(10, Math.max(...minmax(values)) - Math.min(...minmax(values))),
      3,
    )
    const least = Math.floor(Math.min(...minmax(values)) / step) * step
    const most = Math.max(Math.ceil(Math.max(...minmax(values)) / step) * step, least + step)
    const low = CHART_HEIGHT - PLOT.bottom
    const yOf = (value) => low - ((value - least) / (most - least)) * (low - PLOT.top)
    const draw = (svg, width) => {
      svg.setAttribute('aria-label', `${joint} angle over time, degrees`)
      for (let value = least; value <= most + 1e-9; value += step) {
        const y = yOf(value)
        svgElement(
          'line',
          { class: 'grid', x1: PLOT.left, x2: width - PLOT.right, y1: y, y2: y },
          svg,
        )
        const label = svgElement('text', { x: PLOT.left - 5, y: y + 3, 'text-anchor': 'end' }, svg)
        label.textContent = `${Number(value.toFixed(2))}°`
      }
      for (const { name, side } of lines) curves(svg, track, track.angles[name], yOf, width, side)
      timeAxis(svg, width, CHART_HEIGHT - 4)
    }
    redraws.push(figure(box, CHART_HEIGHT, draw))
    const words = { left: 'left', right: 'right', middle: '' }
    const read = (index) => {
      parts.forEach(({ name, text, side }, at) => {
        const value = track.angles[name][index - track.first]
        const shown = value === null || value === undefined ? '–' : `${value.toFixed(1)}°`
        text.textContent = `${at > 0 ? '\u2003' : ''}${words[side]} ${shown}`.trimEnd()
      })
    }
    for (const { text, side } of parts)
      text.textContent = side === 'middle' ? '' : `\u2003${words[side]}`
    listeners.push(read)
  }

  /** Spreading a long array would overflow the stack. */
  function minmax(values) {
    let [least, most] = [values[0], values[0]]
    for (const value of values) {
      if (value < least) least = value
      if (value > most) most = value
    }
    return [least, most]
  }

  function keys(host) {
    const list = element('p', 'keys', host)
    for (const source of [...Object.values(SOURCES), 'failed']) {
      const key = element('span', '', list)
      element('i', '', key).style.background = `var(--${source})`
      key.append(source === 'failed' ? 'frame failed' : source)
    }
    const key = element('span', '', list)
    element('i', '', key).style.background = 'var(--line)'
    key.append('no record')
    element('span', '', list, 'line: tracking confidence')
    element('span', '', list, 'dashed: not seen')
  }

  const people = document.getElementById('people')
  for (const track of tracks) {
    const section = element('section', 'person', people)
    const title = element('h2', '', section, `Person ${track.id}`)
    const reading = element('small', '', title, 'point at a curve to read it')
    keys(section)
    bands(element('div', '', section), track)
    const charts = element('div', 'charts', section)
    for (const [joint, lines] of groups(track)) chart(charts, track, joint, lines)
    listeners.push((index) => {
      const at = index - track.first
      const source = SOURCES[track.source[at]]
      const state = source
        ? `${source}, confidence ${track.confidence[at].toFixed(2)}`
        : 'no record'
      reading.textContent = `frame ${frames[index]} · ${times[index].toFixed(3)} s · ${failed.includes(index) ? 'the frame failed' : state}`
    })
  }

  const strip = document.querySelector('.strip')
  const thumbnails = [...document.querySelectorAll('.strip figure')]
  for (const thumbnail of thumbnails)
    thumbnail.addEventListener('pointerenter', () => show(Number(thumbnail.dataset.index)))
  listeners.push((index) => {
    let nearest
    for (const thumbnail of thumbnails) {
      const apart = Math.abs(Number(thumbnail.dataset.index) - index)
      if (!nearest || apart < nearest.apart) nearest = { thumbnail, apart }
    }
    for (const thumbnail of thumbnails)
      thumbnail.classList.toggle('here', thumbnail === nearest.thumbnail)
    // The strip follows, unless the pointer is in it.
    if (nearest && !strip.matches(':hover'))
      strip.scrollLeft = nearest.thumbnail.offsetLeft - strip.offsetLeft - strip.clientWidth / 2
  })
})()
