// Elements, words and numbers: what every other part of the page uses.

export const byId = (id) => document.getElementById(id)

const SVG = 'http://www.w3.org/2000/svg'

function fill(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value)
    else element.setAttribute(key, value === true ? '' : value)
  }
  element.append(...children.filter((child) => child !== null && child !== undefined))
  return element
}

export const make = (name, attributes, ...children) =>
  fill(document.createElement(name), attributes, children)

export const draw = (name, attributes, ...children) =>
  fill(document.createElementNS(SVG, name), attributes, children)

export const icon = (name) =>
  draw('svg', { class: 'icon', 'aria-hidden': 'true' }, draw('use', { href: `#icon-${name}` }))

/** The colour of a custom property, such as `--left`, in the page's present light: as `rgb(…)`. */
export function token(name) {
  const probe = byId('probe')
  probe.style.color = `var(${name})`
  return getComputedStyle(probe).color
}

export const reducedMotion = () => matchMedia('(prefers-reduced-motion: reduce)').matches

export const words = (name) => name.replaceAll('_', ' ')

export const plural = (count, one, many = `${one}s`) =>
  `${count.toLocaleString('en')} ${count === 1 ? one : many}`

/** `0.43 s`, `1:02.40`. */
export function clock(ms) {
  const seconds = ms / 1000
  if (Math.abs(seconds) < 60) return `${seconds.toFixed(2)} s`
  const minutes = Math.floor(seconds / 60)
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, '0')}`
}

export function bytes(count) {
  if (count < 1e6) return `${Math.max(1, Math.round(count / 1e3))} kB`
  return `${(count / 1e6).toFixed(count < 1e7 ? 1 : 0)} MB`
}

/** Calls `action` at most once per frame of the screen. */
export function oncePerFrame(action) {
  let asked = 0
  return () => {
    if (asked) return
    asked = requestAnimationFrame(() => {
      asked = 0
      action()
    })
  }
}
