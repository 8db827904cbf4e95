// How people and sources are told apart: identity by colour, source by colour, pattern and word, sides by warm and cool.

/** Bright enough for a picture and for a dark page, dark letters on them. */
const PEOPLE = [
  '#ff6b97',
  '#5cc0ff',
  '#ffd05c',
  '#7ddf8a',
  '#c9a0ff',
  '#ff9f5a',
  '#4fe0d0',
  '#f28ae0',
  '#bcd64a',
  '#93abff',
]

/** Of a `trackId`; the same in every picture of the page, and from one visit to the next. */
export function colourOf(trackId) {
  const count = PEOPLE.length
  return PEOPLE[(((trackId - 1) % count) + count) % count] ?? PEOPLE[0]
}

/** As the drawn pictures of the engine have them: the person's left is warm, the right is cool. */
export const SIDE = { left: '#ff9f1c', right: '#2ec4ff', middle: '#f0f0f5' }

/** `dash`: of lines, in widths of the line. `seen`: in this very frame. */
export const SOURCES = {
  detected: { word: 'detected', about: 'found in this frame', seen: true, dash: [] },
  recovered: {
    word: 'recovered',
    about: 'found again by a second look where they were expected',
    seen: true,
    dash: [7, 2],
  },
  predicted: {
    word: 'predicted',
    about: 'not seen in this frame: carried on from the past',
    seen: false,
    dash: [3, 2.4],
  },
  interpolated: {
    word: 'interpolated',
    about: 'not seen in this frame: filled in between two sights',
    seen: false,
    dash: [1.2, 1.8],
  },
}

export const isSeen = (source) => SOURCES[source]?.seen ?? true
