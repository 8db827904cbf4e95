// Light and dark: by the system, or by the button, which the browser remembers.

import { byId } from './dom.mjs'

const KEY = 'pose4d-theme'
const NAMES = {
  auto: 'Colours: as the system has them',
  light: 'Colours: light',
  dark: 'Colours: dark',
}

/** A browser that keeps nothing forgets the colours, too. */
function remembered() {
  try {
    return localStorage.getItem(KEY)
  } catch {
    return null
  }
}

function remember(name) {
  try {
    localStorage.setItem(KEY, name)
  } catch {}
}

function set(name) {
  const { dataset } = document.documentElement
  if (name === 'auto') delete dataset.theme
  else dataset.theme = name
  const button = byId('theme')
  button.setAttribute('aria-label', NAMES[name])
  button.title = NAMES[name]
}

/** Calls `changed` whenever colours are others than before. */
export function followTheme(changed) {
  const names = Object.keys(NAMES)
  let now = names.includes(remembered()) ? remembered() : 'auto'
  set(now)
  byId('theme').addEventListener('click', () => {
    now = names[(names.indexOf(now) + 1) % names.length]
    set(now)
    remember(now)
    changed()
  })
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', changed)
}
