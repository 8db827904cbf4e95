// What becomes of napi's declarations in index.d.ts.

import assert from 'node:assert/strict'
import test from 'node:test'
import { publicTypes } from '../scripts/types.mjs'

const RAW = `/** An entrance of the addon. */
export declare class NativeEngine {
  run(): Promise<void>
}

/** A point. */
export interface Keypoint {
  /** Pixels. */
  x: number
}

export interface NativeOptions {
  deep?: boolean
}

/** Version of the addon. */
export declare function version(): string

export type Source = 'detected' | 'predicted'

/** Kinds
 * in two lines. */
export declare const enum Kind {
  A = 0
}
`

test('data types stay, with their comments; entrances of the addon do not', () => {
  assert.equal(
    publicTypes(RAW),
    `/** A point. */
export interface Keypoint {
  /** Pixels. */
  x: number
}

export type Source = 'detected' | 'predicted'

/** Kinds
 * in two lines. */
export declare const enum Kind {
  A = 0
}`,
  )
})

test('nothing to declare is nothing', () => {
  assert.equal(publicTypes(''), '')
  assert.equal(publicTypes('export declare function f(): void\n'), '')
})
