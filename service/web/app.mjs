// The page: what is open, what is shown of it, and which control does what.

import { Curves } from './curves.mjs'
import { byId, clock, icon, make, oncePerFrame, plural, reducedMotion } from './dom.mjs'
import { onFilesGiven, save } from './files.mjs'
import { SOURCES } from './looks.mjs'
import { described, Overlay } from './overlay.mjs'
import { Picture } from './picture.mjs'
import { Player } from './player.mjs'
import { csvOf, resultsOf } from './saved.mjs'
import { AngleTable, peopleOf } from './tables.mjs'
import { followTheme } from './theme.mjs'
import { counted, Tracks } from './tracks.mjs'
import { announce, complain, forgive, Work, watchEngine } from './work.mjs'

const player = new Player()
const overlay = new Overlay(byId('overlay'))
const picture = new Picture(document.querySelector('.fit'), byId('photo'), byId('video'))
const hidden = new Set()
const state = { clip: null, selected: null, media: 'none' }
let space = null

const seek = (index) => player.seek(index)
const tracks = new Tracks(byId('tracks'), byId('ruler'), {
  onPick: (id) => select(id),
  onShow: reveal,
  onSeek: seek,
})
const curves = new Curves(byId('curves'), seek)
const table = new AngleTable(byId('table'), seek)
const work = new Work(show, () => ({
  clip: state.clip,
  bare: state.clip !== null && picture.bare,
  attach,
}))

const frameNow = () => state.clip?.frames[player.index] ?? null
const checked = (id) => byId(id).checked

// The view

/** Fetched while nobody waits for it, so that results open even when the server is gone by then. */
const sceneModule = import('./scene.mjs')
sceneModule.catch(() => {})

/** The 3D view is made when it is first needed; without WebGL the rest of the page works on. */
async function openSpace() {
  if (space) return
  try {
    const { View3D } = await sceneModule
    space = new View3D(byId('space'), byId('names'))
    space.onHold = () => turn(false)
    space.options.hidden = hidden
  } catch (error) {
    space = null
    byId('space-note').textContent = `No 3D view: ${error.message}`
  }
}

const redraw = oncePerFrame(() => {
  const { clip } = state
  if (!clip) return
  const frame = frameNow()
  const size = frame?.width > 0 ? frame : clip
  overlay.draw(frame, size, {
    boxes: checked('boxes'),
    skeletons: checked('skeletons'),
    angles: checked('degrees'),
    sides: checked('sides'),
    hidden,
    selected: clip.tracks.length > 1 ? state.selected : null,
  })
  byId('overlay').setAttribute('aria-label', described(frame, clip))
  if (space) {
    space.options.sides = checked('sides')
    space.options.mesh = checked('mesh')
    space.show(frame)
  }
})

function reveal(id, shown) {
  if (shown) hidden.delete(id)
  else hidden.add(id)
  redraw()
}

/** Whose angles are shown. */
function select(id) {
  const { clip } = state
  state.selected = id
  tracks.pick(id)
  const track = clip.trackOf(id)
  byId('angles-title').textContent = track ? `Joint angles of person ${id}` : 'Joint angles'
  curves.load(clip, track)
  table.load(clip, track)
  redraw()
}

function cards() {
  const options = { hidden, onShow: reveal }
  byId('cards').replaceChildren(...peopleOf(frameNow(), options))
}

// Where we are in time

function readout() {
  const { clip } = state
  const { index } = player
  const frame = frameNow()
  const at = `${index + 1} of ${clip.length}`
  const name = clip.kind === 'photos' ? (frame.file ?? `photo ${at}`) : `frame ${frame.number}`
  const time = clip.kind === 'photos' ? '' : clock(clip.times[index])
  byId('now').replaceChildren(
    make('b', {}, clip.kind === 'photos' ? name : time),
    ` · ${clip.kind === 'photos' ? at : `${name} (${at})`}${frame.errorCode ? ' · failed' : ''}`,
  )
  const slider = byId('seek')
  slider.value = clip.shareOf(index)
  slider.setAttribute('aria-valuetext', `${name}, ${time || at}`)
  byId('viewer').style.setProperty('--at', clip.shareOf(index))
}

function button(id, name, label) {
  const element = byId(id)
  element.replaceChildren(icon(name))
  element.setAttribute('aria-label', label)
  element.title = label
}

player.listen(({ index, playing }) => {
  const { clip } = state
  if (!clip || player.clip !== clip) return
  readout()
  picture.show(index)
  if (clip.tracked) {
    curves.at(index)
    table.at(index)
  } else cards()
  button('play', playing ? 'pause' : 'play', playing ? 'Stop' : 'Play')
  redraw()
})

// What is open

function summary(clip) {
  const { tracked, kind, failed, records, length } = clip
  const frames = kind === 'photos' ? plural(length, 'photo') : plural(length, 'frame')
  const people = tracked ? clip.tracks.length : records
  const parts = [frames, plural(people, 'person', 'people')]
  if (failed > 0) parts.push(`${failed} failed`)
  if (!clip.complete) parts.push('not the whole clip')
  return parts
}

function about(clip) {
  const parts = [clip.model, ...summary(clip)]
  byId('about').replaceChildren(
    make('b', {}, clip.name),
    ...parts.filter(Boolean).map((part) => ` · ${part}`),
  )
  document.title = `${clip.name} · pose4d`
}

function arrange(clip) {
  const timed = clip.length > 1
  byId('viewer').dataset.kind = timed ? 'clip' : 'photo'
  byId('timeline').hidden = !timed
  byId('tracks-panel').hidden = !clip.tracked
  byId('legend').hidden = !clip.tracked
  for (const id of ['play', 'repeat', 'rate']) byId(id).hidden = !player.playable
  for (const id of ['angles-as', 'sides-key']) byId(id).hidden = !clip.tracked
  byId('cards').hidden = clip.tracked
  const asTable = document.querySelector('[name=angles-as]:checked').value === 'table'
  byId('curves').hidden = !clip.tracked || asTable
  byId('table').hidden = !clip.tracked || !asTable
  byId('mesh-chip').hidden = !clip.meshFaces
  byId('save').disabled = false
}

async function attach(file) {
  const { clip } = state
  const video = await picture.openVideo(file)
  if (state.clip !== clip) return
  if (!video && clip.pictureOf) picture.fetchFrom(clip.pictureOf, player.index)
  else if (!video)
    complain(`${file.name}: this browser cannot play it; the poses are shown without the picture`)
  player.attach(video)
  bare()
  redraw()
}

/** What to do about a picture that is not there. */
function bare() {
  const { clip } = state
  byId('bare').hidden = !picture.bare || Boolean(clip.pictureOf)
  const what = clip.kind === 'photos' ? 'photo' : 'video'
  byId('bare-text').textContent = clip.file
    ? `Results hold no pictures. ${clip.file} belongs behind these people.`
    : `Results hold no pictures: these people’s ${what} is not open.`
  byId('add').hidden = clip.kind === 'photos'
}

async function show(clip, { video, photos } = {}) {
  await openSpace()
  player.attach(null)
  hidden.clear()
  state.clip = clip
  picture.clear(clip)
  byId('start').hidden = true
  byId('viewer').hidden = false
  player.load(clip)
  arrange(clip)
  about(clip)
  if (photos) picture.setPhotos(photos)
  space?.load(clip)
  tracks.load(clip)
  const most = clip.tracks.toSorted((a, b) => b.records - a.records)[0]
  select(most?.id ?? null)
  if (video) await attach(video)
  picture.show(0)
  bare()
  readout()
  if (!clip.tracked) cards()
  views()
  turn(clip.length === 1 && !reducedMotion() && clip.records > 0)
  redraw()
  byId('main').focus({ preventScroll: true })
  announce(`${clip.name}: ${summary(clip).join(', ')}. ${sourcesOf(clip)}`)
}

const sourcesOf = (clip) =>
  clip.tracks.map((track) => `Person ${track.id}: ${counted(track.sources)}.`).join(' ')

// Controls

function views() {
  if (!space) return
  const possible = space.views
  for (const way of ['front', 'side', 'top', 'camera'])
    byId(`view-${way}`).hidden = !possible.includes(way)
  byId('space-note').textContent = noteOf(possible)
}

function noteOf(possible) {
  if (state.clip.records === 0) return 'Nobody to show'
  if (possible.includes('camera')) return 'One square is 1 m'
  return 'One square is 1 m; how far apart people stand is not known'
}

function turn(on) {
  if (!space) return
  space.turning = on
  byId('turn').setAttribute('aria-pressed', String(on))
}

for (const way of ['front', 'side', 'top', 'camera'])
  byId(`view-${way}`).addEventListener('click', () => {
    turn(false)
    space?.view(way)
  })
byId('turn').addEventListener('click', () => turn(!space?.turning))
for (const id of ['boxes', 'skeletons', 'degrees', 'sides', 'mesh'])
  byId(id).addEventListener('change', redraw)

byId('play').addEventListener('click', () => player.toggle())
byId('back').addEventListener('click', () => player.step(-1))
byId('next').addEventListener('click', () => player.step(1))
byId('repeat').addEventListener('click', ({ currentTarget }) => {
  player.repeat = !player.repeat
  currentTarget.setAttribute('aria-pressed', String(player.repeat))
})
byId('rate').addEventListener('change', ({ target }) => player.setRate(Number(target.value)))
byId('seek').addEventListener('input', ({ target }) => {
  const { times } = state.clip
  const first = times[0]
  const ms = first + Number(target.value) * (times[times.length - 1] - first)
  seek(state.clip.indexAt(ms + state.clip.interval / 2))
})

/** Frames by keys: on the slider, and where nothing has the focus. */
function frameKey(event) {
  const { clip } = state
  if (!clip || clip.length < 2 || event.ctrlKey || event.metaKey || event.altKey) return
  const by = event.shiftKey ? 10 : 1
  const actions = {
    ArrowLeft: () => player.step(-by),
    ArrowDown: () => player.step(-by),
    ArrowRight: () => player.step(by),
    ArrowUp: () => player.step(by),
    PageDown: () => player.step(-10),
    PageUp: () => player.step(10),
    Home: () => player.step(-clip.length),
    End: () => player.step(clip.length),
    ' ': () => player.toggle(),
  }
  const onSlider = event.target === byId('seek')
  // Elsewhere up, down and the pages scroll, as everywhere.
  if (!onSlider && /^(Arrow(Up|Down)|Page)/.test(event.key)) return
  if (!actions[event.key]) return
  event.preventDefault()
  actions[event.key]()
}
byId('seek').addEventListener('keydown', frameKey)
addEventListener('keydown', (event) => {
  if (event.target === document.body || event.target === byId('main')) frameKey(event)
})

for (const radio of document.querySelectorAll('[name=angles-as]'))
  radio.addEventListener('change', () => {
    arrange(state.clip)
    curves.paint()
    table.load(state.clip, state.clip.trackOf(state.selected))
  })

const stem = () => state.clip.name.replace(/\.[^.]*$/, '')
byId('csv').addEventListener('click', () => {
  save(`${stem()}-angles.csv`, 'text/csv', csvOf(state.clip))
})
byId('save').addEventListener('click', () => {
  save(`${stem()}-poses.jsonl`, 'application/x-ndjson', [...resultsOf(state.clip)])
})

// Files

const openAll = (files) => work.open(files)
/** What chosen files are for: to be opened, or as the picture of what is open. */
let wanted = openAll
function choose(then) {
  wanted = then
  byId('files').value = ''
  byId('files').click()
}
byId('open').addEventListener('click', () => choose(openAll))
byId('choose').addEventListener('click', () => choose(openAll))
byId('add').addEventListener('click', () => choose(([file]) => attach(file)))
byId('files').addEventListener('change', ({ target }) => {
  if (target.files.length > 0) wanted([...target.files])
})

onFilesGiven(openAll)

// The page itself

followTheme(() => {
  space?.recolour()
  tracks.paint()
  redraw()
})

byId('help').addEventListener('click', () => byId('keys').showModal())
byId('problem-close').addEventListener('click', forgive)
new ResizeObserver(redraw).observe(byId('overlay'))

byId('legend').append(
  ...Object.entries(SOURCES).map(([source, { word, about: meaning }]) => {
    const colour = make('i')
    colour.style.background = `var(--${source})`
    return make('li', { title: meaning }, colour, word)
  }),
)
const failedColour = make('i')
failedColour.style.background = 'var(--failed)'
byId('legend').append(
  make('li', {}, failedColour, 'frame failed'),
  make('li', {}, 'height: tracking confidence'),
)

watchEngine()
