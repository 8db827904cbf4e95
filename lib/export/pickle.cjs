'use strict'
// Plain values and numpy arrays as a pickle of protocol 4, for `pickle.load` and `joblib.load`.

/** A typed array with a shape; of float32, float64 or int64. */
class NumpyArray {
  constructor(data, shape) {
    this.data = data
    this.shape = shape
  }
}

/** A number that is a float in Python even where it is whole. */
class Real {
  constructor(value) {
    this.value = value
  }
}

const KINDS = new Map([
  [Float32Array, 'f4'],
  [Float64Array, 'f8'],
  [BigInt64Array, 'i8'],
])

const PIECE = 1 << 20

/** Bytes one after the other, in pieces: a buffer for every opcode would cost more than what it holds. */
class Bytes {
  #pieces = []
  #piece = Buffer.alloc(0)
  #at = 0

  push(...parts) {
    for (const part of parts) {
      if (part.length > this.#piece.length - this.#at) this.#grow(part.length)
      part.copy(this.#piece, this.#at)
      this.#at += part.length
    }
  }

  #grow(needed) {
    if (this.#at > 0) this.#pieces.push(this.#piece.subarray(0, this.#at))
    this.#piece = Buffer.allocUnsafeSlow(Math.max(PIECE, needed))
    this.#at = 0
  }

  done() {
    return [...this.#pieces, this.#piece.subarray(0, this.#at)]
  }
}

const PROTO = Buffer.from([0x80, 4])
const STOP = Buffer.from('.')
const MAX_SHORT = 0xff
/** Places of the memo that one byte can name. */
const ROOM = 256

function sized(short, long, bytes) {
  const head = Buffer.alloc(bytes.length > MAX_SHORT ? 5 : 2)
  head.write(bytes.length > MAX_SHORT ? long : short, 'latin1')
  if (bytes.length > MAX_SHORT) head.writeUInt32LE(bytes.length, 1)
  else head.writeUInt8(bytes.length, 1)
  return [head, bytes]
}

/**
 * Writes opcodes; what is used again and again (classes, dtypes, names of fields) is kept in the pickle's memo.
 */
class Pickler {
  #parts = new Bytes()
  #memo = new Map()
  #codes = new Map()

  static dump(value) {
    const pickler = new Pickler()
    pickler.#parts.push(PROTO)
    pickler.#value(value)
    pickler.#parts.push(STOP)
    return pickler.#parts.done()
  }

  #code(text) {
    if (!this.#codes.has(text)) this.#codes.set(text, Buffer.from(text, 'latin1'))
    this.#parts.push(this.#codes.get(text))
  }

  #value(value) {
    if (value === null || value === undefined) this.#code('N')
    else if (value === true) this.#code('\x88')
    else if (value === false) this.#code('\x89')
    else if (typeof value === 'number') this.#number(value)
    else if (typeof value === 'string') this.#text(value)
    else if (Array.isArray(value)) this.#list(value)
    else if (value instanceof Real) this.#real(value.value)
    else if (value instanceof NumpyArray) this.#array(value)
    else if (value instanceof Map) this.#dict(value, (key) => this.#value(key))
    else this.#dict(Object.entries(value), (key) => this.#name(key))
  }

  #number(value) {
    if (!Number.isInteger(value) || Math.abs(value) >= 2 ** 31) {
      this.#real(value)
      return
    }
    const code = Buffer.from('J....', 'latin1')
    code.writeInt32LE(value, 1)
    this.#parts.push(code)
  }

  #real(value) {
    const code = Buffer.from('G........', 'latin1')
    code.writeDoubleBE(value, 1)
    this.#parts.push(code)
  }

  #text(value) {
    this.#parts.push(...sized('\x8c', 'X', Buffer.from(value, 'utf8')))
  }

  #list(values) {
    this.#code('](')
    for (const value of values) this.#value(value)
    this.#code('e')
  }

  /** A field's name, of which there are few. */
  #name(key) {
    this.#once(`name ${key}`, () => this.#text(key))
  }

  #dict(entries, writeKey) {
    this.#code('}(')
    for (const [key, value] of entries) {
      writeKey(key)
      this.#value(value)
    }
    this.#code('u')
  }

  /** Writes it the first time and refers to it later. */
  #once(key, write) {
    const at = this.#memo.get(key)
    if (at !== undefined) {
      this.#parts.push(Buffer.from([0x68, at]))
      return
    }
    write()
    if (this.#memo.size >= ROOM) return
    this.#memo.set(key, this.#memo.size)
    this.#code('\x94')
  }

  #class(module, name) {
    this.#once(`${module}.${name}`, () => {
      this.#text(module)
      this.#text(name)
      this.#code('\x93')
    })
  }

  #dtype(kind) {
    this.#once(kind, () => {
      this.#class('numpy', 'dtype')
      this.#text(kind)
      this.#code('\x89\x88\x87R(')
      for (const value of [3, '<', null, null, null, -1, -1, 0]) this.#value(value)
      this.#code('tb')
    })
  }

  /** As numpy's own `__reduce__` says it; the name of the module is the one old and new numpy know. */
  #array({ data, shape }) {
    const kind = KINDS.get(data.constructor)
    this.#class('numpy.core.multiarray', '_reconstruct')
    this.#class('numpy', 'ndarray')
    this.#value(0)
    this.#code('\x85')
    this.#parts.push(...sized('C', 'B', Buffer.from('b')))
    this.#code('\x87R(')
    this.#value(1)
    this.#code('(')
    for (const side of shape) this.#value(side)
    this.#code('t')
    this.#dtype(kind)
    this.#code('\x89')
    const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
    this.#parts.push(...sized('C', 'B', bytes))
    this.#code('tb')
  }
}

module.exports = { NumpyArray, Real, pickle: Pickler.dump }
