import type * as pose4d from './index.js'

export * from './index.js'

declare const all: typeof pose4d
export default all
